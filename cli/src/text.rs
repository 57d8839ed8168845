//! Text on a terminal: harmless, and as wide as there is room.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Text from elsewhere with the characters escaped that act on a terminal, are invisible, or
/// reorder their line. Anybody who may write to the table can set them.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else if is_deceptive(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Returns `true` for a character that is invisible, ends a line or reorders the text around it,
/// and is no control character.
pub(crate) const fn is_deceptive(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// The columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most so many columns; its last one is an ellipsis if it was cut.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let mut taken = 0_usize;
    let mut kept = String::new();
    for letter in text.chars() {
        taken = taken.saturating_add(letter.width().unwrap_or(0));
        if taken > room {
            break;
        }
        kept.push(letter);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// The text in exactly so many columns.
pub(crate) fn fitted(text: &str, columns: usize) -> String {
    let mut text = cut(text, columns);
    let missing = columns.saturating_sub(width(&text));
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_escaped_and_the_rest_is_kept() {
        assert_eq!(shown("pay Ünï 支払"), "pay Ünï 支払");
        assert_eq!(shown("a\u{1b}[2Jb\n\u{9b}c\u{202e}d"), "a\\u{1b}[2Jb\\n\\u{9b}c\\u{202e}d");
        for letter in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            if letter.is_control() || is_deceptive(letter) {
                assert!(!shown(&letter.to_string()).contains(letter), "{letter:?}");
            }
        }
    }

    #[test]
    fn a_text_is_cut_by_columns_and_not_by_letters() {
        assert_eq!(cut("payments", 8), "payments");
        assert_eq!(cut("payments", 5), "paym…");
        assert_eq!(cut("支払支払", 5), "支払…");
        assert_eq!(cut("支払支払", 4), "支…");
        assert_eq!(cut("payments", 1), "…");
        assert_eq!(cut("payments", 0), "");
        assert_eq!(fitted("支払支払", 4), "支… ");
        assert_eq!(fitted("ab", 4), "ab  ");
    }
}
