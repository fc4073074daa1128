//! What else a data block may say: how the card was read, tips, bonus points, conversions. Most payments have none of it.

use super::Fields;
use crate::bcd;
use crate::bmp::{self, tag};
use crate::charset::Charset;
use crate::tables::bit_fields::{self, Meaning};
use crate::tlv::{self, Tlv};
use crate::totals::Totals;

/// The month in which a card expires (BMP 0E).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry {
    /// All four digits.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
}

/// Bonus points that a payment brought or took (tag E1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bonus {
    /// `GL` load, `ME` collect, `MS` redeem, `MU` ask, `MW` credit.
    pub kind: Option<String>,
    /// How many points this was about.
    pub points: Option<u64>,
    /// How many points the customer has now.
    pub points_left: Option<u64>,
    /// What the points are worth, in minor units.
    pub amount_minor: Option<u64>,
}

/// One amount of a currency conversion (tag 31 in E2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvertedAmount {
    /// 1 in the shop's currency, 2 the rate, 3 in the card's currency, 4 commission, 5 balance.
    pub kind: u8,
    /// The digits, of which the last `decimals` stand behind the point.
    pub number: u64,
    /// How many digits stand behind the point, where it is told.
    pub decimals: Option<u8>,
    /// ISO 4217 number, where it is told.
    pub currency: Option<u16>,
}

/// Fields that terminals send only where they have a use for them.
impl Fields {
    /// Seconds the PT waits for the answer to 04 0F (BMP 01).
    pub fn timeout_seconds(&self) -> Option<u8> {
        self.byte(tag::TIMEOUT)
    }

    /// How often the ECR may ask for the result again (BMP 02).
    pub fn maximum_repeats(&self) -> Option<u8> {
        self.byte(tag::MAXIMUM_REPEATS)
    }

    /// Pump number (BMP 05).
    pub fn pump_number(&self) -> Option<u8> {
        self.byte(tag::PUMP_NUMBER)
    }

    /// The month in which the card expires (BMP 0E), `None` when it is masked.
    pub fn expiry(&self) -> Option<Expiry> {
        Expiry::from_bcd(self.get(tag::EXPIRY_DATE)?)
    }

    /// Card sequence number with its leading zeros (BMP 17).
    pub fn card_sequence_number(&self) -> Option<String> {
        bcd::to_digits(self.get(tag::CARD_SEQUENCE)?)
    }

    /// Goods groups that this card must not pay (BMP 4C), as product codes of six digits.
    pub fn blocked_goods(&self) -> Vec<String> {
        self.get(tag::BLOCKED_GOODS).unwrap_or_default().chunks_exact(3).filter_map(bcd::to_digits).collect()
    }

    /// Totals since the last end of day (BMP 60), from 06 50 and 06 10.
    pub fn totals(&self) -> Option<Totals> {
        Totals::from_bytes(self.get(tag::TOTALS)?)
    }

    /// The network operator's own card type (BMP 8C, or tag 49 where that is FF or absent).
    pub fn operator_card_type(&self) -> Option<u16> {
        match self.byte(tag::OPERATOR_CARD_TYPE) {
            None | Some(0xFF) => one_or_two_bytes(self.tlv()?.find(&[tlv::tag::OPERATOR_CARD_TYPE])?),
            Some(id) => Some(id.into()),
        }
    }

    /// The host's own result (BMP A0), which some send beside BMP 27; it decides nothing.
    pub fn host_result(&self) -> Option<u8> {
        self.byte(tag::HOST_RESULT)
    }

    /// Tip inside the amount, in minor units (tag 1F36).
    pub fn tip_minor(&self) -> Option<u64> {
        self.number(tlv::tag::TIP)
    }

    /// Cash paid out inside the amount, in minor units (tag 1F25).
    pub fn cashback_minor(&self) -> Option<u64> {
        self.number(tlv::tag::CASHBACK)
    }

    /// Whether a tip may follow with 06 0C (tag 1F3B).
    pub fn allows_tip(&self) -> bool {
        self.first_byte_of(tlv::tag::TRANSACTION_INFORMATION).is_some_and(|bits| bits & 0x01 != 0)
    }

    /// What is left on the card or voucher, in minor units; may be less than nothing (tag 1F6A).
    pub fn remaining_minor(&self) -> Option<i64> {
        let tlv = self.tlv()?;
        let mut digits = tlv.find(&[tlv::tag::REMAINING_AMOUNT])?.to_vec();
        let first = digits.first_mut()?;
        let is_negative = *first >> 4 == 0xD;
        if is_negative {
            *first &= 0x0F;
        }
        let number = i64::try_from(bcd::to_number(&digits)?).ok()?;
        Some(if is_negative { -number } else { number })
    }

    /// The greatest amount that a pre-authorisation can have, in minor units (tag 1F0B).
    pub fn maximum_pre_authorization_minor(&self) -> Option<u64> {
        self.number(tlv::tag::MAXIMUM_PRE_AUTHORIZATION)
    }

    /// Receipt numbers of open pre-authorisations (tag 23, or BMP 87 of a 06 1E with B8). Empty when there are none.
    pub fn open_pre_authorizations(&self) -> Vec<String> {
        let tlv = self.tlv().unwrap_or_default();
        let listed: Vec<String> = match tlv.container(tlv::tag::OPEN_PRE_AUTHORIZATIONS) {
            Some(list) => list.values(tlv::tag::RECEIPT_NUMBER).filter_map(bcd::to_digits).collect(),
            None => Vec::new(),
        };
        if listed.is_empty() { self.receipt_number().into_iter().collect() } else { listed }
    }

    /// How the cardholder was checked (tag 1F10), in English.
    pub fn cardholder_authentication(&self) -> Option<&'static str> {
        self.detail(tlv::tag::CARDHOLDER_AUTHENTICATION, bit_fields::CARDHOLDER_AUTHENTICATION)
    }

    /// Whether the host was asked (tag 1F11), in English.
    pub fn online(&self) -> Option<&'static str> {
        self.detail(tlv::tag::ONLINE_FLAG, bit_fields::ONLINE_FLAG)
    }

    /// How the card was read (tag 1F12), in English.
    pub fn card_technology(&self) -> Option<&'static str> {
        self.detail(tlv::tag::CARD_TECHNOLOGY, bit_fields::CARD_TECHNOLOGY)
    }

    /// The application that paid (tag 43), which names a card product and no card.
    pub fn application_id(&self) -> Option<Vec<u8>> {
        let tlv = self.tlv()?;
        let direct = tlv.find(&[tlv::tag::APPLICATION_ID]);
        let id = direct.or_else(|| tlv.find(&[tlv::tag::APPLICATION, tlv::tag::APPLICATION_ID]))?;
        // ISO 7816 gives it 5 to 16 bytes.
        (5..=16).contains(&id.len()).then(|| id.to_vec())
    }

    /// Bonus points (tag E1).
    pub fn bonus(&self) -> Option<Bonus> {
        let tlv = self.tlv()?;
        let bonus = tlv.container(tlv::tag::BONUS)?;
        let number = |tag| bonus.find(&[tag]).and_then(bcd::to_number);
        Some(Bonus {
            kind: bonus
                .find(&[tlv::tag::BONUS_KIND])
                .filter(|kind| kind.len() == 2)
                .map(|kind| Charset::Ascii.decode(kind)),
            points: number(tlv::tag::BONUS_POINTS),
            points_left: number(tlv::tag::BONUS_POINTS_LEFT),
            amount_minor: number(tlv::tag::BONUS_AMOUNT),
        })
    }

    /// The amounts of a currency conversion (tag E2), in their order.
    pub fn converted_amounts(&self) -> Vec<ConvertedAmount> {
        let tlv = self.tlv().unwrap_or_default();
        let conversions = tlv.containers(tlv::tag::CURRENCY_CONVERSION);
        conversions
            .flat_map(|conversion| conversion.containers(tlv::tag::AMOUNT_INFORMATION))
            .filter_map(converted)
            .collect()
    }

    fn number(&self, tag: u32) -> Option<u64> {
        bcd::to_number(self.tlv()?.find(&[tag]).filter(|digits| digits.len() <= 6)?)
    }

    fn first_byte_of(&self, tag: u32) -> Option<u8> {
        self.tlv()?.find(&[tag])?.first().copied()
    }

    /// A byte of the payment's details, which terminals send inside tag 2F or beside it.
    fn detail(&self, tag: u32, table: &'static [Meaning]) -> Option<&'static str> {
        let tlv = self.tlv()?;
        let value = tlv.find(&[tlv::tag::PAYMENT_DETAILS, tag]).or_else(|| tlv.find(&[tag]))?;
        bit_fields::meanings(table, *value.first()?).next()
    }
}

impl Expiry {
    /// From BCD YYMM, in this century.
    pub fn from_bcd(bytes: &[u8]) -> Option<Self> {
        let &[year, month] = bytes else { return None };
        let year = 2000 + u16::try_from(bcd::to_number(&[year])?).ok()?;
        let month = u8::try_from(bcd::to_number(&[month])?).ok()?;
        (1..=12).contains(&month).then_some(Self { year, month })
    }
}

pub(super) fn one_or_two_bytes(value: &[u8]) -> Option<u16> {
    match value {
        [id] => Some((*id).into()),
        [high, low] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

fn converted(amount: &Tlv) -> Option<ConvertedAmount> {
    let byte = |tag| amount.find(&[tag]).and_then(|value| value.first().copied());
    Some(ConvertedAmount {
        kind: byte(tlv::tag::AMOUNT_KIND)?,
        // Anything longer is no amount.
        number: bcd::to_number(amount.find(&[tlv::tag::AMOUNT]).filter(|digits| digits.len() <= 6)?)?,
        decimals: byte(tlv::tag::DECIMALS),
        currency: amount.find(&[tlv::tag::CURRENCY]).and_then(bmp::to_currency),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_container(tlv: &[u8]) -> Fields {
        Fields::new().with_tlv(&Tlv::parse(tlv)).expect("it fits")
    }

    #[test]
    fn of_an_authorization() {
        let fields = Fields::parse(&[0x01, 0x1E, 0x02, 0x0A, 0x05, 0x02, 0x0E, 0x25, 0x12, 0x17, 0x00, 0x01]);
        assert_eq!(
            (fields.timeout_seconds(), fields.maximum_repeats(), fields.pump_number()),
            (Some(30), Some(10), Some(2))
        );
        assert_eq!(fields.expiry(), Some(Expiry { year: 2025, month: 12 }));
        assert_eq!(fields.card_sequence_number().as_deref(), Some("0001"));
        let masked = Fields::parse(&[0x0E, 0xEE, 0xEE, 0x17, 0xEE, 0x01]);
        assert_eq!((masked.expiry(), masked.card_sequence_number()), (None, None));
    }

    #[test]
    fn of_a_result() {
        let fields = Fields::parse(&[0x4C, 0xF0, 0xF7, 0, 0x01, 0x23, 0, 0x04, 0x56, 0x09, 0xA0, 0x05, 0x8C, 0x03]);
        assert_eq!(fields.blocked_goods(), ["000123", "000456"]);
        assert_eq!((fields.host_result(), fields.operator_card_type()), (Some(5), Some(3)));
        assert_eq!(with_container(&[0x49, 0x02, 0x01, 0x04]).operator_card_type(), Some(260));
    }

    #[test]
    fn how_it_was_paid() {
        for bytes in
            [&[0x2F, 0x08, 0x1F, 0x10, 0x01, 0x02, 0x1F, 0x12, 0x01, 0x02][..], &[0x1F, 0x10, 1, 2, 0x1F, 0x12, 1, 2]]
        {
            let fields = with_container(bytes);
            assert_eq!(fields.cardholder_authentication(), Some("online PIN"));
            assert_eq!((fields.card_technology(), fields.online()), (Some("contactless"), None));
        }
        let visa = [0xA0, 0, 0, 0, 3, 0x10, 0x10];
        let id = [&[0x60, 0x09, 0x43, 0x07][..], &visa].concat();
        assert_eq!(with_container(&id).application_id().as_deref(), Some(&visa[..]));
    }

    #[test]
    fn amounts_beside_the_amount() {
        let fields = with_container(&[0x1F, 0x36, 2, 0x01, 0x50, 0x1F, 0x25, 2, 0x20, 0x00, 0x1F, 0x3B, 1, 1]);
        assert_eq!((fields.tip_minor(), fields.cashback_minor(), fields.allows_tip()), (Some(150), Some(2000), true));
        assert_eq!(with_container(&[0x1F, 0x6A, 2, 0xD1, 0x50]).remaining_minor(), Some(-150));
        assert_eq!(with_container(&[0x1F, 0x6A, 2, 0x12, 0x50]).remaining_minor(), Some(1250));
        // So many digits may be those of a card.
        assert_eq!(with_container(&[0x1F, 0x36, 8, 0x47, 0x48, 0x43, 0, 0, 0, 0x77, 0x43]).tip_minor(), None);
    }

    #[test]
    fn bonus_and_conversion() {
        let bonus = with_container(&[0xE1, 0x08, 0xC1, 2, b'M', b'E', 0xC2, 2, 0x01, 0x20]).bonus().expect("a bonus");
        assert_eq!(bonus, Bonus { kind: Some("ME".into()), points: Some(120), ..Bonus::default() });
        let usd = [0xE2, 0x10, 0x31, 0x0E, 0x1F, 0x1D, 1, 3, 0x1F, 0x20, 2, 0x13, 0x70, 0x1F, 0x21, 2, 0x08, 0x40];
        let expected = ConvertedAmount { kind: 3, number: 1370, decimals: None, currency: Some(840) };
        assert_eq!(with_container(&usd).converted_amounts(), [expected]);
    }

    #[test]
    fn open_pre_authorizations() {
        let listed = with_container(&[0x23, 0x08, 0x08, 2, 0x04, 0x91, 0x08, 2, 0x04, 0x92]);
        assert_eq!(listed.open_pre_authorizations(), ["0491", "0492"]);
        assert_eq!(Fields::parse(&[0x87, 0x04, 0x91]).open_pre_authorizations(), ["0491"]);
        assert!(Fields::parse(&[0x87, 0xFF, 0xFF]).open_pre_authorizations().is_empty());
    }
}
