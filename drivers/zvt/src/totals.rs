//! What was taken since the last end of day, by card brand: BMP 60 of 06 50 and 06 10.

use crate::bcd;

/// The brands that BMP 60 tells apart, in its order.
pub const BRANDS: [&str; 7] = ["girocard", "JCB", "Mastercard", "American Express", "Visa", "Diners", "others"];

/// Bytes of one brand: a binary count and a sum in BCD.
const BRAND_SIZE: usize = 7;

/// The totals of a business day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Receipt number of the first transaction, `None` when the PT does not tell it.
    pub first_receipt: Option<String>,
    /// Receipt number of the last transaction.
    pub last_receipt: Option<String>,
    /// One for each of [`BRANDS`], those without a transaction included.
    pub brands: [BrandTotal; BRANDS.len()],
}

/// The total of one card brand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrandTotal {
    /// Its name.
    pub brand: &'static str,
    /// How many transactions.
    pub count: u8,
    /// Their sum in minor units.
    pub amount_minor: u64,
}

impl Totals {
    /// Reads the value of BMP 60. `None` when it is not 53 bytes long, or a sum is no number: half a sum is none.
    ///
    /// ```
    /// use tillswitch_zvt::totals::Totals;
    ///
    /// let mut bytes = [0; 53];
    /// bytes[..4].copy_from_slice(&[0x02, 0x33, 0x02, 0x34]);
    /// bytes[18] = 2;
    /// bytes[23..25].copy_from_slice(&[0x09, 0x58]);
    /// let totals = Totals::from_bytes(&bytes).expect("53 bytes");
    /// assert_eq!(totals.first_receipt.as_deref(), Some("0233"));
    /// assert_eq!((totals.brands[2].brand, totals.brands[2].count, totals.total_minor()), ("Mastercard", 2, 958));
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (receipts, sums) = bytes.split_at_checked(4)?;
        if sums.len() != BRANDS.len() * BRAND_SIZE {
            return None;
        }
        let mut brands = BRANDS.map(|brand| BrandTotal { brand, count: 0, amount_minor: 0 });
        for (total, sum) in brands.iter_mut().zip(sums.chunks_exact(BRAND_SIZE)) {
            total.count = sum[0];
            total.amount_minor = bcd::to_number(&sum[1..])?;
        }
        let (first, last) = receipts.split_at(2);
        Some(Self { first_receipt: bcd::to_digits(first), last_receipt: bcd::to_digits(last), brands })
    }

    /// The value of BMP 60, for the simulated terminal. `None` when a number has too many digits.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for receipt in [&self.first_receipt, &self.last_receipt] {
            bytes.extend(receipt.as_ref().map_or(Some([0xFF, 0xFF]), |digits| bcd::from_digits::<2>(digits))?);
        }
        for total in &self.brands {
            bytes.push(total.count);
            bytes.extend(bcd::from_number::<6>(total.amount_minor)?);
        }
        Some(bytes)
    }

    /// The sum of all brands in minor units.
    pub fn total_minor(&self) -> u64 {
        self.brands.iter().map(|brand| brand.amount_minor).sum()
    }

    /// How many transactions there were.
    pub fn count(&self) -> u32 {
        self.brands.iter().map(|brand| u32::from(brand.count)).sum()
    }

    /// The brands that had transactions.
    pub fn used(&self) -> impl Iterator<Item = &BrandTotal> {
        self.brands.iter().filter(|brand| brand.count > 0 || brand.amount_minor > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals() -> Totals {
        let mut brands = BRANDS.map(|brand| BrandTotal { brand, count: 0, amount_minor: 0 });
        brands[0] = BrandTotal { count: 3, amount_minor: 4_500, ..brands[0] };
        brands[6] = BrandTotal { count: 255, amount_minor: 999_999_999_999, ..brands[6] };
        Totals { first_receipt: Some("0233".into()), last_receipt: None, brands }
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = totals().to_bytes().expect("the sums fit");
        assert_eq!(bytes.len(), 53);
        assert_eq!(Totals::from_bytes(&bytes), Some(totals()));
        assert_eq!((totals().count(), totals().total_minor()), (258, 1_000_000_004_499));
        assert_eq!(totals().used().map(|brand| brand.brand).collect::<Vec<_>>(), ["girocard", "others"]);
    }

    #[test]
    fn half_a_sum_is_none() {
        let bytes = totals().to_bytes().expect("the sums fit");
        assert_eq!(Totals::from_bytes(&bytes[..52]), None);
        assert_eq!(Totals::from_bytes(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(Totals::from_bytes(&[]), None);
        let mut masked = bytes;
        masked[10] = 0xEE;
        assert_eq!(Totals::from_bytes(&masked), None);
    }
}
