//! Whether each command is written as the standard says, and read again as the same.

use super::*;
use crate::bmp::BmpError;
use crate::charset::Charset;
use crate::clock::{Date, TimeOfDay};

const EUR: u16 = 978;

fn password() -> Password {
    Password::new("123456").expect("six digits")
}

/// `expected` is the message in hexadecimal. What was built is read again as the same.
fn check(command: Command, expected: &str) {
    let apdu = command.encode();
    let bytes = apdu.encode().expect("commands are short");
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(hex.join(" "), expected);
    assert_eq!(Command::parse(&apdu), Ok(command));
}

#[test]
fn payments() -> Result<(), BmpError> {
    check(Command::authorization(1250, None)?, "06 01 07 04 00 00 00 00 12 50");
    check(Command::authorization(11000, Some(EUR))?, "06 01 0A 04 00 00 00 01 10 00 49 09 78");
    check(Command::refund(password(), 1250, None)?, "06 31 0A 12 34 56 04 00 00 00 00 12 50");
    check(Command::reversal(password(), "0470")?, "06 30 06 12 34 56 87 04 70");
    assert!(Command::authorization(1_000_000_000_000, None).is_err());
    assert!(Command::reversal(password(), "").is_err());
    Ok(())
}

#[test]
fn service() {
    check(Command::status_enquiry(password()), "05 01 03 12 34 56");
    check(Command::detailed_status_enquiry(password()), "05 01 05 12 34 56 03 04");
    check(Command::StatusEnquiry { password: None, fields: Fields::new() }, "05 01 00");
    check(Command::repeat_result(password()), "06 20 05 12 34 56 03 03");
    check(Command::end_of_day(password()), "06 50 03 12 34 56");
    check(Command::Initialisation { password: password() }, "06 93 03 12 34 56");
    check(Command::diagnosis(), "06 70 00");
    check(Command::Abort, "06 B0 00");
    check(Command::LogOff, "06 02 00");
}

#[test]
fn reservations() -> Result<(), BmpError> {
    check(Command::pre_authorization(2500, Some(EUR))?, "06 22 0A 04 00 00 00 00 25 00 49 09 78");
    check(Command::partial_reversal("0491", 1295, Some(EUR))?, "06 23 0D 87 04 91 04 00 00 00 00 12 95 49 09 78");
    check(Command::open_pre_authorizations(), "06 23 03 87 FF FF");
    check(Command::book_total("0491", 1205, None)?, "06 24 0A 87 04 91 04 00 00 00 00 12 05");
    check(Command::pre_authorization_reversal("0231")?, "06 25 03 87 02 31");
    check(Command::tip("0470", 150)?, "06 0C 0A 04 00 00 00 00 01 50 87 04 70");
    let fields = Fields::new().with_amount(1)?.with_authorization_code("12")?;
    check(
        Command::TelephoneAuthorization { password: password(), fields },
        "06 21 13 12 34 56 04 00 00 00 00 00 01 3B 31 32 00 00 00 00 00 00",
    );
    Ok(())
}

#[test]
fn care_of_the_terminal() -> Result<(), BmpError> {
    let password = password();
    check(Command::TurnoverTotals { password }, "06 10 03 12 34 56");
    check(Command::ReprintReceipts { password, receipts: (470, 9999) }, "06 12 07 12 34 56 04 70 99 99");
    check(Command::Restart, "06 18 00");
    check(Command::PrintConfiguration, "06 1A 00");
    check(Command::set_terminal_id(password, Some("52523535"))?, "06 1B 08 12 34 56 29 52 52 35 35");
    check(Command::set_terminal_id(password, None)?, "06 1B 03 12 34 56");
    check(Command::SendOfflineTransactions { password }, "06 51 03 12 34 56");
    check(Command::diagnosis_of(0x04)?, "06 70 05 06 03 1B 01 04");
    check(Command::SelfTest, "06 79 00");
    let (date, time) = (Date { year: 2026, month: 11, day: 24 }, TimeOfDay { hour: 9, minute: 8, second: 7 });
    check(Command::set_clock(password, date, time)?, "06 91 0B 12 34 56 AA 26 11 24 0C 09 08 07");
    let new = Password::new("654321").expect("six digits");
    check(Command::ChangePassword { old: password, new }, "06 95 06 12 34 56 65 43 21");
    check(Command::display_text(&["Hallo", ""], 5, Charset::Cp437)?, "06 E0 0D F0 05 F1 F0 F5 48 61 6C 6C 6F F2 F0 F0");
    assert!(Command::display_text(&["x"; 9], 5, Charset::Cp437).is_err());
    check(Command::ServiceMode { password, fields: Fields::new() }, "08 01 03 12 34 56");
    check(Command::SoftwareUpdate { fields: Fields::new() }, "08 10 00");
    check(Command::select_language("EN").expect("it is listed"), "08 30 01 01");
    assert_eq!(Command::select_language("tlh"), None);
    let fields = Fields::new().with_service_byte(0x01)?;
    check(Command::TillReport { password, fields }, "0F 10 05 12 34 56 03 01");
    check(Command::BalanceEnquiry { fields: Fields::new() }, "06 03 00");
    Ok(())
}

#[test]
fn an_authorization_with_all_that_it_may_carry() -> Result<(), BmpError> {
    let Command::Authorization { fields } = Command::authorization(3300, Some(EUR))? else { panic!("it is one") };
    let fields = fields.with_type(PAYMENT_TYPE_PT_DECIDES)?.with_patience(30, 10)?.with_pump_number(2)?;
    let fields = fields.with_additional_text("fleet", Charset::Cp437)?;
    let expected = "06 01 1B 04 00 00 00 00 33 00 49 09 78 19 40 01 1E 02 0A 05 02 3C F0 F0 F5 66 6C 65 65 74";
    check(Command::Authorization { fields }, expected);
    Ok(())
}

#[test]
fn incomplete_commands_say_what_is_missing() {
    fn check(control: ControlField, data: &[u8], missing: &'static str) {
        let apdu = Apdu::new(control, data.to_vec());
        assert_eq!(Command::parse(&apdu), Err(CommandError { control, missing }));
    }
    check(control::REVERSAL, &[0x12, 0x34], "password");
    check(control::STATUS_ENQUIRY, &[0x12], "password");
    check(control::REPRINT_RECEIPTS, &[0x12, 0x34, 0x56, 0x00, 0x01, 0x00], "receipt number");
    check(control::CHANGE_PASSWORD, &[0x12, 0x34, 0x56, 0x12], "new password");
    check(control::SELECT_LANGUAGE, &[], "language");
    check(control::REGISTRATION, &[0x12, 0x34, 0x56], "config byte");
    check(control::REGISTRATION, &[0x12, 0x34, 0x56, 0xBE, 0x09], "currency");
    check(control::REGISTRATION, &[0x12, 0x34, 0x56, 0xBE, 0x0F, 0x78], "currency");
}

#[test]
fn passwords() {
    assert_eq!(Password::new("1"), Password::new("000001"));
    for wrong in ["", "1234567", "12345a"] {
        assert_eq!(Password::new(wrong), Err(PasswordError), "{wrong}");
    }
    assert_eq!(format!("{:?}", Command::Initialisation { password: password() }).find("12"), None);
}

#[test]
fn answers() {
    assert_eq!(positive().encode(), Ok(vec![0x80, 0, 0]));
    assert_eq!(goods_not_issued().encode(), Ok(vec![0x84, 0x66, 0]));
    assert_eq!(unknown_command().encode(), Ok(vec![0x84, 0x83, 0]));
}

/// Every command that the standard knows, as the table of commands judges it; the list here is reviewed.
#[test]
fn what_moves_money() -> Result<(), BmpError> {
    const MONEY: &str = "0601 0604 0605 0609 060A 060C 0621 0622 0623 0624 0625 0626 0630 0631 06E6";
    for row in commands::COMMANDS {
        let name = format!("{:02X}{:02X}", row.control[0], row.control[1]);
        let data = [0x00; 7].to_vec();
        let command = Command::parse(&Apdu::new(row.control, data)).expect("the positional part is there");
        assert_eq!(command.moves_money(), MONEY.split(' ').any(|money| money == name), "{name}");
    }
    assert!(Command::partial_reversal("0491", 1, None)?.moves_money());
    assert!(!Command::open_pre_authorizations().moves_money());
    // Nobody knows what a command does that is not listed.
    assert!(Command::Other(Apdu::new([0x0F, 0x42], vec![])).moves_money());
    assert!(!Command::Other(positive()).moves_money());
    assert!(!Command::Other(negative(0x66)).moves_money());
    Ok(())
}
