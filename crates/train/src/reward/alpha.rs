//! Dynamic reward adaptation: the weight of the answer's wording, larger until both labels are right.

use serde::{Deserialize, Serialize};

/// How much the wording of the answer counts. In a recipe `{ min = 0.1, max = 0.5 }`, the paper's and
/// the default, or `{ fixed = 0.3 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub enum Alpha {
    /// `min` if both labels of a completion are right, else `max`.
    Adaptive {
        /// The smaller one.
        min: f64,
        /// The larger one.
        max: f64,
    },
    /// The same always.
    Fixed(f64),
}

impl Default for Alpha {
    fn default() -> Self {
        Self::Adaptive { min: 0.1, max: 0.5 }
    }
}

impl Alpha {
    /// `min + (1 − visual · textual)(max − min)`, where the arguments are 1 if that label is right, else 0.
    pub fn of(self, visual: f32, textual: f32) -> f64 {
        match self {
            Self::Adaptive { min, max } => {
                min + (1.0 - f64::from(visual) * f64::from(textual)) * (max - min)
            }
            Self::Fixed(alpha) => alpha,
        }
    }
}

/// As in a recipe.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fixed: Option<f64>,
}

impl TryFrom<Keys> for Alpha {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        match (keys.min, keys.max, keys.fixed) {
            (Some(min), Some(max), None) if 0.0 <= min && min <= max && max.is_finite() => {
                Ok(Self::Adaptive { min, max })
            }
            (None, None, Some(fixed)) if 0.0 <= fixed && fixed.is_finite() => {
                Ok(Self::Fixed(fixed))
            }
            (Some(min), Some(max), None) => Err(format!(
                "alpha goes from {min} to {max}: write two weights of 0 or more, the smaller as min"
            )),
            (None, None, Some(fixed)) => Err(format!(
                "alpha is fixed at {fixed}: write a weight of 0 or more"
            )),
            _ => Err("alpha is neither { min, max } nor { fixed }: write one of them".to_owned()),
        }
    }
}

impl From<Alpha> for Keys {
    fn from(alpha: Alpha) -> Self {
        let (min, max, fixed) = match alpha {
            Alpha::Adaptive { min, max } => (Some(min), Some(max), None),
            Alpha::Fixed(fixed) => (None, None, Some(fixed)),
        };
        Self { min, max, fixed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Alpha) {
        let found: Alpha = toml::from_str(text).unwrap();
        assert_eq!(found, want);
        let written = toml::to_string(&found).unwrap();
        assert_eq!(toml::from_str::<Alpha>(&written).unwrap(), want);
    }

    #[track_caller]
    fn refused(text: &str, word: &str) {
        let error = toml::from_str::<Alpha>(text).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }

    #[test]
    fn two_ends_are_adaptive() {
        check(
            "min = 0.2\nmax = 0.4",
            Alpha::Adaptive { min: 0.2, max: 0.4 },
        );
    }

    #[test]
    fn one_value_is_fixed() {
        check("fixed = 0.3", Alpha::Fixed(0.3));
    }

    #[test]
    fn the_wording_counts_more_until_both_labels_are_right() {
        let alpha = Alpha::default();
        assert_eq!(alpha.of(1.0, 1.0), 0.1);
        for (visual, textual) in [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0)] {
            assert_eq!(alpha.of(visual, textual), 0.5);
        }
    }

    #[test]
    fn ends_in_the_wrong_order_are_refused() {
        refused("min = 0.5\nmax = 0.1", "from 0.5 to 0.1");
    }

    #[test]
    fn a_weight_below_zero_is_refused() {
        refused("fixed = -1.0", "-1");
    }

    #[test]
    fn fixed_and_adaptive_at_once_are_refused() {
        refused("min = 0.1\nfixed = 0.2", "neither");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        refused("fixd = 0.2", "fixd");
    }
}
