//! Answers to `service call`: a parcel as words in hex, with a string of UTF-16 in it.

/// Longest string that is believed.
const STRING_MAX: usize = 256;

/// The string in an answer to `service call`.
///
/// # Errors
/// The service answered with an exception, or with none, or the parcel makes no sense: why.
pub fn parse_parcel(answer: &str) -> Result<String, String> {
    let Some((_, parcel)) = answer.split_once("Parcel(") else {
        let line = answer.lines().find(|line| !line.trim().is_empty()).unwrap_or("no answer");
        return Err(line.trim().to_owned());
    };
    let words = parcel.lines().flat_map(words_of).collect::<Vec<u32>>();
    let (code, rest) = words.split_first().ok_or("an empty parcel")?;
    let (length, units) = rest.split_first().ok_or("an empty parcel")?;
    let text = |length: u32| {
        let units: Vec<u16> = units.iter().flat_map(|word| [low(*word), low(*word >> 16)]).collect();
        let length = usize::try_from(length).ok().filter(|length| *length <= STRING_MAX.min(units.len()))?;
        Some(String::from_utf16_lossy(&units[..length]))
    };
    match (*code, *length) {
        (0, u32::MAX) => Err("the phone has none".to_owned()),
        (0, length) => text(length).ok_or_else(|| "a parcel without a string".to_owned()),
        (_, length) => Err(text(length).unwrap_or_else(|| "refused".to_owned())),
    }
}

/// The words of one line: what stands between the offset, if there is one, and the same as text, which may hold anything.
fn words_of(line: &str) -> impl Iterator<Item = u32> + '_ {
    let line = line.split('\'').next().unwrap_or_default();
    let line =
        line.trim_start().strip_prefix("0x").and_then(|line| line.split_once(':')).map_or(line, |(_, line)| line);
    let word = |word: &str| u32::from_str_radix(word, 16).ok().filter(|_| word.len() == 8);
    line.split(|c: char| c.is_whitespace() || c == ')').filter_map(word)
}

fn low(word: u32) -> u16 {
    u16::try_from(word & 0xffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_goes_over_several_lines() {
        let answer = "Result: Parcel(\n\
            \x20 0x00000000: 00000000 0000000f 00360038 00350037 '........8.6.7.5.'\n\
            \x20 0x00000010: 00300033 00300034 00370031 00390032 '3.0.4.0.1.7.2.9.'\n\
            \x20 0x00000020: 00320033 00000038                   '3.2.8...        ')\n";
        assert_eq!(parse_parcel(answer), Ok("867530401729328".to_owned()));
    }

    #[test]
    fn short_ones_stand_on_one_line() {
        assert_eq!(
            parse_parcel("Result: Parcel(00000000 00000002 00620061 00000000 '........a.b.....')"),
            Ok("ab".to_owned())
        );
        assert_eq!(parse_parcel("Result: Parcel(00000000 ffffffff   '........')").unwrap_err(), "the phone has none");
        // The text beside the words holds a quote and what looks like a word.
        assert_eq!(parse_parcel("Result: Parcel(00000000 00000001 00000027 '........''deadbeef')"), Ok("'".to_owned()));
    }

    #[test]
    fn exceptions_and_nonsense_are_reasons() {
        let refused = "Result: Parcel(\n  0x00000000: ffffffff 00000004 006f006e 00650070 '........n.o.p.e.')";
        assert_eq!(parse_parcel(refused).unwrap_err(), "nope");
        for answer in
            ["", "service: Service iphonesubinfo does not exist\n", "Result: Parcel(", "Result: Parcel(00000000)"]
        {
            assert!(parse_parcel(answer).is_err(), "{answer}");
        }
        let too_long = "Result: Parcel(00000000 7fffffff 00620061 '........a.b.')";
        assert!(parse_parcel(too_long).is_err());
    }
}
