//! Did you mean?

/// The candidate that begins with `word`, or is spelled most like it, if one is close.
pub(crate) fn closest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let allowed = (word.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| {
            let begins = word.len() > 2 && candidate.starts_with(word);
            let distance = if begins {
                0
            } else {
                strsim::damerau_levenshtein(word, candidate)
            };
            (distance, candidate)
        })
        .filter(|&(distance, _)| distance <= allowed)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_spellings_are_offered() {
        let names = ["listen", "public_url", "aliases"];
        assert_eq!(closest("lisen", names), Some("listen"));
        assert_eq!(closest("publicurl", names), Some("public_url"));
        assert_eq!(closest("pub", names), Some("public_url"));
        assert_eq!(closest("port", names), None);
        assert_eq!(closest("", names), None);
    }
}
