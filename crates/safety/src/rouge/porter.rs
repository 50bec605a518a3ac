//! Porter's stemmer (Program 14.3, 1980) with the extensions of NLTK's `PorterStemmer` in its
//! default mode, stem for stem. Words are lower-case ASCII letters and digits; a digit is a consonant.

/// Forms that the rules would get wrong, with their stems.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// A suffix and what stands in its place.
type Rule = (&'static str, &'static str);

const PLURALS: [Rule; 4] = [("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")];

/// The first that fits decides, so that the order matters.
const DOUBLE_SUFFIXES: [Rule; 22] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
    ("logi", "log"),
];

const THIRD: [Rule; 7] = [
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

const FOURTH: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
    "ism", "ate", "iti", "ous", "ive", "ize",
];

/// The stem of one word.
pub(super) fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return (*stem).to_owned();
    }
    let mut word = word.to_owned();
    if word.len() <= 2 {
        return word;
    }
    plural(&mut word);
    past_and_participle(&mut word);
    final_y(&mut word);
    double_suffix(&mut word);
    replace(&mut word, &THIRD, |stem, _| measure(stem) > 0);
    fourth(&mut word);
    final_e(&mut word);
    if word.ends_with("ll") && measure(&word[..word.len() - 1]) > 1 {
        word.pop();
    }
    word
}

/// Step 1a. `dies` keeps its `e`, `flies` does not.
fn plural(word: &mut String) {
    if word.len() == 4 && word.ends_with("ies") {
        word.pop();
    } else {
        replace(word, &PLURALS, |_, _| true);
    }
}

/// Step 1b.
fn past_and_participle(word: &mut String) {
    if word.ends_with("ied") {
        let drop = if word.len() == 4 { 1 } else { 2 };
        word.truncate(word.len() - drop);
        return;
    }
    if let Some(stem) = word.strip_suffix("eed") {
        if measure(stem) > 0 {
            word.pop();
        }
        return;
    }
    let stem = ["ed", "ing"]
        .into_iter()
        .find_map(|suffix| word.strip_suffix(suffix))
        .filter(|stem| has_vowel(stem));
    let Some(length) = stem.map(str::len) else {
        return;
    };
    word.truncate(length);
    if ["at", "bl", "iz"].iter().any(|end| word.ends_with(end)) {
        word.push('e');
    } else if ends_in_double_consonant(word) {
        if !word.ends_with(['l', 's', 'z']) {
            word.pop();
        }
    } else if measure(word) == 1 && ends_in_short_syllable(word) {
        word.push('e');
    }
}

/// Step 1c: only behind a consonant that is not the whole stem, so that `enjoy` stays and `fly` does not.
fn final_y(word: &mut String) {
    replace(word, &[("y", "i")], |stem, _| {
        stem.len() > 1 && consonants(stem).last() == Some(&true)
    });
}

/// Step 2. `alli` goes first, and what is left is looked at again.
fn double_suffix(word: &mut String) {
    if let Some(stem) = word.strip_suffix("alli")
        && measure(stem) > 0
    {
        word.truncate(word.len() - "li".len());
    }
    replace(word, &DOUBLE_SUFFIXES, |stem, suffix| {
        // The `l` of `logi` counts as part of the stem, which therefore needs no more than a vowel.
        measure(stem) > 0 || (suffix == "logi" && has_vowel(stem))
    });
}

/// Step 4.
fn fourth(word: &mut String) {
    let rules = FOURTH.map(|suffix| (suffix, ""));
    replace(word, &rules, |stem, suffix| {
        measure(stem) > 1 && (suffix != "ion" || stem.ends_with(['s', 't']))
    });
}

/// Step 5a.
fn final_e(word: &mut String) {
    if let Some(stem) = word.strip_suffix('e') {
        let measure = measure(stem);
        if measure > 1 || (measure == 1 && !ends_in_short_syllable(stem)) {
            word.pop();
        }
    }
}

/// By the first rule whose suffix the word has, if the stem and that suffix allow it.
fn replace(word: &mut String, rules: &[Rule], allowed: impl Fn(&str, &str) -> bool) {
    let Some((suffix, replacement)) = rules.iter().find(|(suffix, _)| word.ends_with(suffix))
    else {
        return;
    };
    let length = word.len() - suffix.len();
    if allowed(&word[..length], suffix) {
        word.truncate(length);
        word.push_str(replacement);
    }
}

/// Of each letter; a `y` is one unless it follows one.
fn consonants(word: &str) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for letter in word.bytes() {
        let flag = match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => !flags.last().is_some_and(|&before| before),
            _ => true,
        };
        flags.push(flag);
    }
    flags
}

/// How often a consonant follows a vowel: the paper's `m`.
fn measure(stem: &str) -> usize {
    let pairs = consonants(stem);
    pairs.windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn has_vowel(stem: &str) -> bool {
    consonants(stem).contains(&false)
}

fn ends_in_double_consonant(word: &str) -> bool {
    let letters = word.as_bytes();
    let twice = matches!(letters, [.., a, b] if a == b);
    twice && consonants(word).last() == Some(&true)
}

/// Consonant, vowel, consonant other than `w`, `x`, `y`; or a word of vowel and consonant.
fn ends_in_short_syllable(word: &str) -> bool {
    match consonants(word).as_slice() {
        [false, true] => true,
        [.., true, false, true] => !word.ends_with(['w', 'x', 'y']),
        _ => false,
    }
}
