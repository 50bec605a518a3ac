//! Every weight of a model: its name in the port, its name in the original, its shape.

use crate::config::{Config, Layout};

/// The port's names of all weights with their shapes, in the order of the forward pass.
/// `lm_head.weight` is among them only when it is not the embedding table.
pub fn weights(config: &Config) -> Vec<(String, Vec<usize>)> {
    let mut list = Vec::new();
    vision(config, &mut list);
    projector(config, &mut list);
    decoder(config, &mut list);
    list
}

fn linear(list: &mut Vec<(String, Vec<usize>)>, name: &str, [output, input]: [usize; 2]) {
    list.push((format!("{name}.weight"), vec![output, input]));
    list.push((format!("{name}.bias"), vec![output]));
}

fn vision(config: &Config, list: &mut Vec<(String, Vec<usize>)>) {
    let c = &config.vision;
    let (width, inner) = (c.hidden_size, c.intermediate_size);
    let root = "model.vision_model";
    let patch = format!("{root}.embeddings.patch_embedding");
    list.push((
        format!("{patch}.weight"),
        vec![width, c.num_channels, c.patch_size, c.patch_size],
    ));
    list.push((format!("{patch}.bias"), vec![width]));
    for layer in 0..c.num_hidden_layers {
        let block = format!("{root}.encoder.layers.{layer}");
        norm(list, &format!("{block}.layer_norm1"), width);
        for name in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            linear(list, &format!("{block}.self_attn.{name}"), [width, width]);
        }
        norm(list, &format!("{block}.layer_norm2"), width);
        linear(list, &format!("{block}.mlp.fc1"), [inner, width]);
        linear(list, &format!("{block}.mlp.fc2"), [width, inner]);
    }
    norm(list, &format!("{root}.post_layernorm"), width);
}

fn norm(list: &mut Vec<(String, Vec<usize>)>, name: &str, width: usize) {
    list.push((format!("{name}.weight"), vec![width]));
    list.push((format!("{name}.bias"), vec![width]));
}

fn projector(config: &Config, list: &mut Vec<(String, Vec<usize>)>) {
    let (vision, text) = (config.vision.hidden_size, config.text.hidden_size);
    linear(list, "model.projector.readout.0", [text, vision]);
    linear(list, "model.projector.readout.2", [text, text]);
}

fn decoder(config: &Config, list: &mut Vec<(String, Vec<usize>)>) {
    let c = &config.text;
    let (width, inner) = (c.hidden_size, c.intermediate_size);
    let (queries, keys) = (
        c.num_attention_heads * c.head_dim,
        c.num_key_value_heads * c.head_dim,
    );
    let root = "model.language_model";
    list.push((
        format!("{root}.embed_tokens.weight"),
        vec![c.vocab_size, width],
    ));
    for layer in 0..c.num_hidden_layers {
        let block = format!("{root}.layers.{layer}");
        list.push((format!("{block}.input_layernorm.weight"), vec![width]));
        linear(list, &format!("{block}.self_attn.q_proj"), [queries, width]);
        linear(list, &format!("{block}.self_attn.k_proj"), [keys, width]);
        linear(list, &format!("{block}.self_attn.v_proj"), [keys, width]);
        list.push((
            format!("{block}.self_attn.o_proj.weight"),
            vec![width, queries],
        ));
        list.push((
            format!("{block}.post_attention_layernorm.weight"),
            vec![width],
        ));
        list.push((format!("{block}.mlp.gate_proj.weight"), vec![inner, width]));
        list.push((format!("{block}.mlp.up_proj.weight"), vec![inner, width]));
        list.push((format!("{block}.mlp.down_proj.weight"), vec![width, inner]));
    }
    list.push((format!("{root}.norm.weight"), vec![width]));
    if !c.tie_word_embeddings {
        list.push(("lm_head.weight".to_owned(), vec![c.vocab_size, width]));
    }
}

/// Whether the whole of `name` fits `pattern`, in which each `*` stands for any run of characters.
pub fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, mut pattern)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    while let Some((piece, after)) = pattern.split_once('*') {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
        pattern = after;
    }
    rest.ends_with(pattern)
}

/// What a weight is called in a checkpoint of `layout`, the usual name first.
pub fn in_layout(name: &str, layout: Layout) -> Vec<String> {
    match layout {
        Layout::Port => vec![name.to_owned()],
        Layout::Original => match original(name) {
            (name, None) => vec![name],
            (name, Some(nested)) => vec![name, nested],
        },
    }
}

fn original(name: &str) -> (String, Option<String>) {
    if let Some(rest) = name.strip_prefix("model.language_model.") {
        (format!("model.{rest}"), None)
    } else if let Some(rest) = name.strip_prefix("model.vision_model.") {
        // The training code wraps the encoder once more than the published checkpoints.
        (
            format!("model.vision_encoder.{rest}"),
            Some(format!("model.vision_encoder.vision_encoder.{rest}")),
        )
    } else if let Some(rest) = name.strip_prefix("model.projector.") {
        (format!("model.mm_projector.{rest}"), None)
    } else {
        (name.to_owned(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_fit(pattern: &str, name: &str, want: bool) {
        assert_eq!(fits(pattern, name), want, "{pattern} on {name}");
    }

    #[test]
    fn a_pattern_without_a_star_is_the_whole_name() {
        check_fit("lm_head", "lm_head", true);
        check_fit("lm_head", "lm_head.weight", false);
    }

    #[test]
    fn stars_stand_for_any_run_of_characters() {
        check_fit("model.vision_model.*", "model.vision_model.a.b", true);
        check_fit("*.layers.*.mlp.*", "m.layers.3.mlp.up_proj", true);
        check_fit("*.layers.*.mlp.*", "m.layers.3.self_attn.q_proj", false);
        check_fit("*", "", true);
    }

    #[test]
    fn pieces_of_a_pattern_never_overlap() {
        check_fit("ab*ba", "aba", false);
        check_fit("ab*ba", "abba", true);
        check_fit("*ab*b", "ab", false);
    }

    #[track_caller]
    fn check(port: &str, want: &str) {
        assert_eq!(in_layout(port, Layout::Original)[0], want);
        assert_eq!(in_layout(port, Layout::Port)[0], port);
    }

    #[test]
    fn the_decoder_loses_its_prefix() {
        check(
            "model.language_model.layers.3.mlp.up_proj.weight",
            "model.layers.3.mlp.up_proj.weight",
        );
    }

    #[test]
    fn the_vision_model_is_the_vision_encoder() {
        check(
            "model.vision_model.post_layernorm.bias",
            "model.vision_encoder.post_layernorm.bias",
        );
    }

    #[test]
    fn the_projector_is_the_mm_projector() {
        check(
            "model.projector.readout.0.weight",
            "model.mm_projector.readout.0.weight",
        );
    }

    #[test]
    fn the_head_keeps_its_name() {
        check("lm_head.weight", "lm_head.weight");
    }
}
