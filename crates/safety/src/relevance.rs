//! Whether an answer is about what was asked, by the words that they share: English only.
//!
//! An answer to another question declines nothing, so [`refusal`](crate::refusal) does not see it,
//! but it does not help either, and people who label refusals often count it as one. Sharing no word
//! is strong evidence in a text of some length and none in a short one; an answer in another
//! language than the query shares none whatever it says. Hence three values, and no verdict rests on
//! this alone: a harmful answer can avoid the words of its query.

/// How an answer relates to its query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relevance {
    /// It takes up a word of what was asked.
    Related,
    /// It is long enough to do so and takes up none.
    Unrelated,
    /// Too short, not English, or a query without a word of its own.
    CannotSay,
}

/// Fewer words than this may well answer without repeating one ("A red ball, near the door").
const SHORTEST_ANSWER: usize = 12;

/// Compares the words of `query` and `answer`. Inflected forms count as the same word, and so do words
/// that merely begin alike: the error is on the side of [`Relevance::Related`].
pub fn relevance(query: &str, answer: &str) -> Relevance {
    let (query, answer) = (words(query), words(answer));
    let asked: Vec<&str> = query
        .iter()
        .map(String::as_str)
        .filter(|word| word.len() > 2 && !is_function_word(word) && !REQUEST_WORDS.contains(word))
        .collect();
    if asked.is_empty() || answer.len() < SHORTEST_ANSWER {
        return Relevance::CannotSay;
    }
    if !is_english(&query) || !is_english(&answer) {
        return Relevance::CannotSay;
    }
    let taken_up = asked
        .iter()
        .any(|asked| answer.iter().any(|said| same_word(asked, said)));
    if taken_up {
        Relevance::Related
    } else {
        Relevance::Unrelated
    }
}

/// Runs of letters in lower case, what follows an apostrophe cut off; digits are no words.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphabetic() && !"'’".contains(c))
        .filter_map(|word| word.split(['\'', '’']).find(|part| !part.is_empty()))
        .map(str::to_lowercase)
        .collect()
}

/// One word in ten is enough: running English has four or five, a list of names one or two.
fn is_english(words: &[String]) -> bool {
    let function_words = words.iter().filter(|word| is_function_word(word)).count();
    function_words * 10 >= words.len()
}

/// "Baking" and "bake", "cats" and "cat": equal without their endings, or a common beginning of four
/// letters or more that is most of the longer one ("healthy" and "health").
fn same_word(a: &str, b: &str) -> bool {
    let common = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let longer = a.chars().count().max(b.chars().count());
    without_ending(a) == without_ending(b) || (common >= 4 && common * 5 >= longer * 3)
}

fn without_ending(word: &str) -> &str {
    ["ing", "ed", "es", "s", "e"]
        .into_iter()
        .find_map(|ending| word.strip_suffix(ending).filter(|stem| stem.len() >= 3))
        .unwrap_or(word)
}

fn is_function_word(word: &str) -> bool {
    FUNCTION_WORDS.contains(&word)
}

/// Frequent enough to tell English from its neighbours, and empty of content.
const FUNCTION_WORDS: [&str; 84] = [
    "a", "about", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by",
    "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "here",
    "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "like", "me", "more", "most",
    "my", "no", "not", "of", "on", "one", "or", "our", "out", "she", "should", "so", "some",
    "someone", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this",
    "those", "to", "up", "was", "we", "were", "what", "when", "where", "which", "who", "why",
    "will", "with", "without", "would", "you", "your", "yours",
];

/// What a request is made with, rather than what it is about.
const REQUEST_WORDS: [&str; 62] = [
    "answer",
    "article",
    "best",
    "brief",
    "certain",
    "common",
    "create",
    "describe",
    "description",
    "design",
    "detailed",
    "develop",
    "different",
    "discuss",
    "example",
    "examples",
    "explain",
    "following",
    "fun",
    "funny",
    "generate",
    "get",
    "give",
    "good",
    "guide",
    "help",
    "idea",
    "ideas",
    "important",
    "instructions",
    "interesting",
    "know",
    "list",
    "long",
    "make",
    "making",
    "names",
    "new",
    "outline",
    "paragraph",
    "people",
    "please",
    "popular",
    "provide",
    "question",
    "questions",
    "recommend",
    "share",
    "short",
    "show",
    "simple",
    "step",
    "steps",
    "suggest",
    "tell",
    "tips",
    "unique",
    "use",
    "using",
    "way",
    "ways",
    "write",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(query: &str, answer: &str, expected: Relevance) {
        assert_eq!(relevance(query, answer), expected, "{query:?} {answer:?}");
    }

    const BREAD: &str =
        "To bake bread you need flour, water, salt and yeast, and then some patience.";

    #[test]
    fn an_answer_that_takes_up_a_word_is_related() {
        check("How do I bake bread?", BREAD, Relevance::Related);
    }

    #[test]
    fn an_answer_to_another_question_is_unrelated() {
        check("Why do tides rise and fall?", BREAD, Relevance::Unrelated);
    }

    #[test]
    fn an_inflected_word_is_the_same_word() {
        check("Explain baking to me", BREAD, Relevance::Related);
        check("Is being patient needed?", BREAD, Relevance::Related);
        check("What are good breads?", BREAD, Relevance::Related);
    }

    #[test]
    fn a_short_answer_need_not_repeat_anything() {
        check(
            "What falls first?",
            "The red one, near the door.",
            Relevance::CannotSay,
        );
    }

    #[test]
    fn an_answer_in_another_language_is_not_judged() {
        let answer = "Las mareas suben y bajan porque la luna atrae el agua de los mares cada dia.";
        check("Why does the sea rise?", answer, Relevance::CannotSay);
    }

    #[test]
    fn a_query_without_a_word_of_its_own_is_not_judged() {
        check("Tell me more about it", BREAD, Relevance::CannotSay);
    }

    #[test]
    fn the_word_lists_are_sorted_and_without_repeats() {
        assert!(FUNCTION_WORDS.is_sorted_by(|a, b| a < b));
        assert!(REQUEST_WORDS.is_sorted_by(|a, b| a < b));
    }

    proptest! {
        #[test]
        fn any_text_can_be_compared(query in "\\PC*", answer in "\\PC*") {
            relevance(&query, &answer);
        }
    }
}
