//! What did an end of day report, in the words of core?

use tillswitch_core::{BrandTotal, Currency, EndOfDay, Money, ReceiptRange};

use crate::fields::Fields;
use crate::totals::Totals;

/// What the 04 0F of an end of day (06 50) tell. The PT's own sum (BMP 04) counts; only where there is none, its parts do.
pub(crate) fn closed(results: &[Fields], currency: Currency) -> EndOfDay {
    let totals = results.iter().rev().find_map(Fields::totals);
    let told = results.iter().rev().find_map(Fields::amount_minor);
    let total = told.or_else(|| totals.as_ref().map(Totals::total_minor));
    EndOfDay {
        message: "the business day is closed at the terminal".into(),
        total: total.map(|minor| Money::from_minor(minor, currency)),
        count: totals.as_ref().map(Totals::count),
        receipts: totals.as_ref().and_then(receipts),
        brands: totals.as_ref().map_or_else(Vec::new, |totals| brands(totals, currency)),
    }
}

/// A day without transactions has no receipts, whatever stands in their place.
fn receipts(totals: &Totals) -> Option<ReceiptRange> {
    let told = totals.first_receipt.clone().zip(totals.last_receipt.clone());
    told.filter(|_| totals.count() > 0).map(|(first, last)| ReceiptRange { first, last })
}

fn brands(totals: &Totals, currency: Currency) -> Vec<BrandTotal> {
    let brand = |total: &crate::totals::BrandTotal| BrandTotal {
        brand: total.brand.to_owned(),
        count: total.count.into(),
        amount: Money::from_minor(total.amount_minor, currency),
    };
    totals.used().map(brand).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bmp::tag;
    use crate::totals;

    fn totals(brands: &[(usize, u8, u64)], receipts: [&str; 2]) -> Vec<u8> {
        let mut all = totals::BRANDS.map(|brand| totals::BrandTotal { brand, count: 0, amount_minor: 0 });
        for (place, count, amount_minor) in brands {
            all[*place] = totals::BrandTotal { count: *count, amount_minor: *amount_minor, ..all[*place] };
        }
        let [first_receipt, last_receipt] = receipts.map(|receipt| Some(receipt.to_owned()));
        Totals { first_receipt, last_receipt, brands: all }.to_bytes().unwrap()
    }

    fn euros(minor: u64) -> Money {
        Money::from_minor(minor, Currency::EUR)
    }

    #[test]
    fn the_terminals_own_sum_counts() {
        let parts = totals(&[(2, 2, 3_000), (4, 1, 500)], ["0233", "0235"]);
        let fields = Fields::new().with_result_code(0).unwrap().with(tag::TOTALS, &parts).unwrap();
        let without_sum = closed(std::slice::from_ref(&fields), Currency::EUR);
        let with_sum = closed(&[fields.with_amount(3_400).unwrap()], Currency::EUR);
        assert_eq!((without_sum.total, with_sum.total), (Some(euros(3_500)), Some(euros(3_400))));
        assert_eq!((with_sum.count, with_sum.brands.len()), (Some(3), 2));
        let visa = BrandTotal { brand: "Visa".into(), count: 1, amount: euros(500) };
        assert_eq!(with_sum.brands[1], visa);
        let range = ReceiptRange { first: "0233".into(), last: "0235".into() };
        assert_eq!(with_sum.receipts, Some(range));
    }

    #[test]
    fn a_terminal_may_tell_little() {
        let nothing = closed(&[], Currency::EUR);
        assert_eq!((nothing.total, nothing.count, nothing.receipts, nothing.brands), (None, None, None, vec![]));
        let empty = Fields::new().with(tag::TOTALS, &totals(&[], ["0000", "0000"])).unwrap();
        let empty = closed(&[empty], Currency::EUR);
        assert_eq!((empty.total, empty.count, empty.receipts), (Some(euros(0)), Some(0), None));
    }
}
