//! Percent-encoding (RFC 3986 §2.1) and case folding, as paths and patterns need them.

/// The value of a hex digit.
const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The byte that the escape at the start of `text` stands for, if there is a well-formed one.
pub(crate) fn escaped_byte(text: &[u8]) -> Option<u8> {
    match text {
        [b'%', high, low, ..] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    }
}

/// Appends `byte` as an escape with upper-case digits.
pub(crate) fn push_escaped(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 0xf)]));
}

/// Whether some well-formed escape is left in `text`.
pub(crate) fn has_escape(text: &str) -> bool {
    let bytes = text.as_bytes();
    (0..bytes.len()).any(|at| escaped_byte(&bytes[at..]).is_some())
}

/// Decodes every well-formed escape once; what is no escape stays. `None` if the result is not
/// UTF-8 (overlong forms included).
pub(crate) fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if let Some(decoded) = escaped_byte(&bytes[at..]) {
            out.push(decoded);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

/// Unreserved characters: an escape of one of them means the character itself (RFC 3986 §2.3).
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Characters that may stand in a path segment as they are (`pchar`, RFC 3986 §3.3).
pub(crate) const fn is_segment_char(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
        )
}

/// The characters of `text` with case differences removed. Generous on purpose (upper, then
/// lower case, so that `ſ` is `s` and the Kelvin sign is `k`): two texts that some origin takes
/// for the same name should be the same here.
pub(crate) fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_takes_one_layer_and_leaves_what_is_no_escape() {
        assert_eq!(decode("a%2561%2F%zz%").as_deref(), Some("a%61/%zz%"));
        assert_eq!(decode("%C3%A9").as_deref(), Some("é"));
        assert_eq!(decode("%C0%AF"), None);
        assert!(has_escape("x%20") && !has_escape("100%") && !has_escape("%2"));
    }

    #[test]
    fn folding_is_generous() {
        let fold = |text| folded(text).collect::<String>();
        assert_eq!(fold("PAID"), "paid");
        assert_eq!(fold("pa\u{131}d"), "paid");
        assert_eq!(fold("\u{212a}ey\u{17f}"), "keys");
        assert_eq!(fold("Straße"), fold("STRASSE"));
    }
}
