//! Quantities in few characters: for axes, tables and sparklines.

/// A number with about three digits that count, and a real minus sign: `0.0312`, `12.3`, `1,235`, `1e−6`.
pub(crate) fn short(number: f64) -> String {
    let size = number.abs();
    let text = if size == 0.0 {
        "0".to_owned()
    } else if size < 0.001 {
        scientific(size)
    } else if size < 1.0 {
        let digits = if size < 0.01 { 4 } else { 3 };
        format!("{size:.digits$}")
    } else if size < 10.0 {
        format!("{size:.2}")
    } else if size < 100.0 {
        format!("{size:.1}")
    } else if size < 1e6 {
        grouped(size.round() as u64)
    } else {
        large(size)
    };
    signed(number, text)
}

/// As [`short`], as a difference: with a sign in both directions.
pub(crate) fn change(number: f64) -> String {
    let text = short(number);
    if number > 0.0 {
        format!("+{text}")
    } else {
        text
    }
}

/// A number on an axis whose marks are `step` apart: no more decimals than tell them apart.
pub(crate) fn mark(number: f64, step: f64) -> String {
    let size = number.abs();
    if size == 0.0 || size < step * 1e-6 {
        return "0".to_owned();
    }
    if step < 1e-3 {
        return signed(number, scientific(size));
    }
    if size >= 10_000.0 {
        return signed(number, large(size));
    }
    let digits = (-step.log10().floor()).max(0.0) as usize;
    signed(number, format!("{size:.digits$}"))
}

/// `1,234,567`
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// With a unit of thousands: `950`, `12 k`, `1.2 M`, `3.4 G`.
pub(crate) fn large(number: f64) -> String {
    let (scaled, unit) = match number {
        n if n >= 1e9 => (n / 1e9, " G"),
        n if n >= 1e6 => (n / 1e6, " M"),
        n if n >= 1e4 => (n / 1e3, " k"),
        n => return grouped(n.round() as u64),
    };
    if scaled < 10.0 {
        format!("{scaled:.1}{unit}")
    } else {
        format!("{scaled:.0}{unit}")
    }
}

/// `12.3 s`, `3 min 41 s`, `2 h 5 min`, `3 d 4 h`
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min {} s", whole % 60),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// `1.2e−6`, without a digit that says nothing: `1e−6`.
fn scientific(size: f64) -> String {
    let text = format!("{size:.1e}").replace(".0e", "e");
    text.replace("e-", "e−")
}

fn signed(number: f64, text: String) -> String {
    if number < 0.0 && text != "0" {
        format!("−{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_digits_that_count() {
        let numbers = [
            0.0, 0.031_23, 0.5, 1.234, -12.34, 123.4, 12_345.0, 2.5e6, 1e-6, -3.21e-5,
        ];
        let shown = [
            "0",
            "0.031",
            "0.500",
            "1.23",
            "−12.3",
            "123",
            "12,345",
            "2.5 M",
            "1e−6",
            "−3.2e−5",
        ];
        assert_eq!(numbers.map(short), shown);
    }

    #[test]
    fn a_change_has_a_sign() {
        assert_eq!([0.25, -0.25, 0.0].map(change), ["+0.250", "−0.250", "0"]);
    }

    #[test]
    fn marks_of_an_axis_are_told_apart() {
        assert_eq!(
            [0.0, 0.2, -0.4].map(|number| mark(number, 0.2)),
            ["0", "0.2", "−0.4"]
        );
        assert_eq!(
            [500.0, 1000.0].map(|number| mark(number, 500.0)),
            ["500", "1000"]
        );
        assert_eq!(
            [5e-6, 1e-5].map(|number| mark(number, 5e-6)),
            ["5e−6", "1e−5"]
        );
        assert_eq!(
            [20_000.0, 40_000.0].map(|number| mark(number, 2e4)),
            ["20 k", "40 k"]
        );
        // Twice a tenth and a tenth is not quite three tenths.
        assert_eq!(mark(0.1 + 0.2, 0.1), "0.3");
    }

    #[test]
    fn durations_have_two_units() {
        let seconds = [3.21, 221.0, 7500.0, 273_600.0];
        assert_eq!(
            seconds.map(duration),
            ["3.2 s", "3 min 41 s", "2 h 5 min", "3 d 4 h"]
        );
    }

    #[test]
    fn large_numbers_are_counted_in_thousands() {
        let numbers = [950.0, 12_345.0, 1_234_567.0, 3.4e9];
        assert_eq!(numbers.map(large), ["950", "12 k", "1.2 M", "3.4 G"]);
    }
}
