//! Days and dates of the Gregorian calendar.

/// Days from 1970-01-01 to a date; `month` is 1 to 12, `day` 1 to 31. A day beyond the month's end is one of the
/// next month.
pub(super) fn days(year: i64, month: u8, day: u8) -> i64 {
    // Years that begin in March have their leap day at the end.
    let m = i64::from(month);
    let year = if m <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((m + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a number of days since 1970-01-01: year, month, day.
pub(super) fn date(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let m = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * m + 2) / 5 + 1) as u8;
    let month = if m < 10 { m + 3 } else { m - 9 } as u8;
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// Day of the week, 1 for Sunday to 7.
pub(super) fn weekday(days: i64) -> u8 {
    // 1970-01-01 was a Thursday.
    ((days + 4).rem_euclid(7) + 1) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        for (n, d, w) in [
            (0, (1970, 1, 1), 5),
            (-1, (1969, 12, 31), 4),
            (11_016, (2000, 2, 29), 3),
            (11_017, (2000, 3, 1), 4),
            (19_723, (2024, 1, 1), 2),
            (-25_508, (1900, 3, 1), 5),
        ] {
            assert_eq!((date(n), weekday(n)), (d, w), "{n}");
            assert_eq!(days(d.0, d.1, d.2), n);
        }
        for n in -200_000..200_000 {
            let (y, m, d) = date(n);
            assert_eq!(days(y, m, d), n);
        }
    }
}
