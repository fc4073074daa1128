//! What are the bytes of a field kept in?
//!
//! Nearly every field is shorter than a vector's own header, and a result has twenty of them: kept in place they cost
//! no allocation.

use std::fmt;
use std::ops::Deref;

/// As many bytes as make a value as large as a vector.
const IN_PLACE: usize = 22;

/// The bytes of a field; they are used as a slice.
///
/// `Debug` shows the length only, because the bytes may be card data.
#[derive(Clone)]
pub struct Value(Kept);

#[derive(Clone)]
enum Kept {
    InPlace { length: u8, bytes: [u8; IN_PLACE] },
    Allocated(Box<[u8]>),
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        let mut bytes = [0; IN_PLACE];
        match (bytes.get_mut(..value.len()), u8::try_from(value.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(value);
                Self(Kept::InPlace { length, bytes })
            }
            _ => Self(Kept::Allocated(value.into())),
        }
    }
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kept::InPlace { length, bytes } => &bytes[..usize::from(*length)],
            Kept::Allocated(bytes) => bytes,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Value {}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_values_are_kept_alike() {
        let bytes: Vec<u8> = (1..=60).collect();
        for length in [0, 1, IN_PLACE - 1, IN_PLACE, IN_PLACE + 1, bytes.len()] {
            let value = Value::from(&bytes[..length]);
            assert_eq!(*value, bytes[..length]);
            assert_eq!(value.clone(), value);
            assert_eq!(format!("{value:?}"), format!("{length} bytes"));
        }
        assert_ne!(Value::from(&[1, 0][..]), Value::from(&[1][..]));
        assert_eq!(size_of::<Value>(), size_of::<Vec<u8>>());
    }
}
