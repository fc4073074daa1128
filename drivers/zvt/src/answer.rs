//! What the ECR answers to what the PT tells or asks: some answers carry more than a yes.

use crate::apdu::{Apdu, control};
use crate::bmp::BmpError;
use crate::charset::Charset;
use crate::command::{goods_not_issued, negative, positive};
use crate::fields::Fields;
use crate::tlv::{self, Tlv};

/// Ask again in two seconds (84 9C).
const ASK_AGAIN: u8 = 0x9C;
/// Only a part was issued (84 9D).
const PARTLY_ISSUED: u8 = 0x9D;
/// Cannot print now (84 CC).
const CANNOT_PRINT: u8 = 0xCC;
/// The card is blocked (84 6E).
const CARD_BLOCKED: u8 = 0x6E;

/// The answer to an approval (04 0F). It decides what becomes of the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultAnswer {
    /// 80 00 or 84 00: the payment stands.
    Issued,
    /// 84 9C: not known yet. The PT asks again, as often as BMP 02 of the command allows, and then takes the payment back.
    AskAgain,
    /// 84 9D with an amount: the payment stands with this amount, where the terminal can do that.
    PartlyIssued {
        /// What was issued, in minor units.
        amount_minor: u64,
    },
    /// Any other 84 xx: the PT takes the payment back.
    NotIssued {
        /// The reason; ours is 66.
        code: u8,
    },
}

impl ResultAnswer {
    /// The message.
    ///
    /// ```
    /// use tillswitch_zvt::answer::ResultAnswer;
    ///
    /// let answer = ResultAnswer::PartlyIssued { amount_minor: 2200 };
    /// assert_eq!(answer.encode()?.encode()?, [0x84, 0x9D, 0x07, 0x04, 0, 0, 0, 0, 0x22, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `BmpError` when the amount has more than twelve digits.
    pub fn encode(self) -> Result<Apdu, BmpError> {
        Ok(match self {
            Self::Issued => positive(),
            Self::AskAgain => negative(ASK_AGAIN),
            Self::PartlyIssued { amount_minor } => {
                let fields = Fields::new().with_amount(amount_minor)?;
                Apdu::new([control::NEGATIVE_CLASS, PARTLY_ISSUED], fields.encode())
            }
            Self::NotIssued { code: 0x66 } => goods_not_issued(),
            Self::NotIssued { code } => negative(code),
        })
    }

    /// Reads an answer as a PT does, `None` for what is no answer. A 84 9D without an amount says that nothing was issued.
    pub fn parse(apdu: &Apdu) -> Option<Self> {
        match apdu.control() {
            control::POSITIVE | [control::NEGATIVE_CLASS, 0] => Some(Self::Issued),
            [control::NEGATIVE_CLASS, ASK_AGAIN] => Some(Self::AskAgain),
            [control::NEGATIVE_CLASS, code @ PARTLY_ISSUED] => {
                let amount = Fields::parse(&apdu.data).amount_minor();
                Some(amount.map_or(Self::NotIssued { code }, |amount_minor| Self::PartlyIssued { amount_minor }))
            }
            [control::NEGATIVE_CLASS, code] => Some(Self::NotIssued { code }),
            _ => None,
        }
    }
}

/// The answer to 06 D1 and 06 D3 that the ECR cannot print (84 CC). The PT takes the payment back then: a slip that can
/// be kept is better kept, and printed later.
pub fn cannot_print() -> Apdu {
    negative(CANNOT_PRINT)
}

/// The answer to 06 E4 that the card is on the ECR's list of blocked cards (84 6E).
pub fn card_blocked() -> Apdu {
    negative(CARD_BLOCKED)
}

/// The answer to a menu (04 0E, 06 D0): the result of the entry that was chosen.
pub fn chosen(result: &[u8]) -> Result<Apdu, BmpError> {
    with_container(&Tlv::new().with(tlv::tag::MENU_RESULT, result))
}

/// The answer to 04 0D: what was typed; `None`: nothing was, in time.
pub fn typed(text: Option<&str>) -> Result<Apdu, BmpError> {
    let input =
        text.map_or_else(Tlv::new, |text| Tlv::new().with(tlv::tag::INPUT_RESULT, &Charset::Ascii.encode(text)));
    with_container(&Tlv::new().with_container(tlv::tag::INPUT, input))
}

fn with_container(tlv: &Tlv) -> Result<Apdu, BmpError> {
    Ok(Apdu::new(control::POSITIVE, Fields::new().with_tlv(tlv)?.encode()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read() -> Result<(), BmpError> {
        for answer in [
            ResultAnswer::Issued,
            ResultAnswer::AskAgain,
            ResultAnswer::PartlyIssued { amount_minor: 2200 },
            ResultAnswer::NotIssued { code: 0x66 },
            ResultAnswer::NotIssued { code: 0x6C },
        ] {
            assert_eq!(ResultAnswer::parse(&answer.encode()?), Some(answer));
        }
        assert!(ResultAnswer::PartlyIssued { amount_minor: u64::MAX }.encode().is_err());
        assert_eq!(ResultAnswer::parse(&negative(0x9D)), Some(ResultAnswer::NotIssued { code: 0x9D }));
        assert_eq!(ResultAnswer::parse(&negative(0x00)), Some(ResultAnswer::Issued));
        assert_eq!(ResultAnswer::parse(&Apdu::new(control::COMPLETION, vec![])), None);
        Ok(())
    }

    #[test]
    fn answers_with_data() -> Result<(), BmpError> {
        assert_eq!(chosen(&[0x02])?.encode(), Ok(vec![0x80, 0, 5, 0x06, 0x03, 0x19, 0x01, 0x02]));
        let bytes = [&[0x80, 0, 9, 0x06, 0x07, 0x32, 0x05, 0x1F, 0x3A, 0x02][..], b"42"].concat();
        assert_eq!(typed(Some("42"))?.encode(), Ok(bytes));
        assert_eq!(typed(None)?.encode(), Ok(vec![0x80, 0, 4, 0x06, 0x02, 0x32, 0x00]));
        Ok(())
    }
}
