//! JSON objects whose values keep their source text, so that no number passes through a float.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object as it was written. A key that comes twice is an error: two readers would see two amounts.
#[derive(Debug)]
pub struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads a whole text as one object.
    pub fn parse(text: &'a str) -> Result<Object<'a>, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The keys that are there.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// The value under a key; `null` counts as absent.
    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
        found.filter(|value| value.get() != "null")
    }

    /// The object under a key.
    pub fn object(&self, key: &str) -> Result<Option<Object<'a>>, serde_json::Error> {
        self.get(key).map(|value| Object::parse(value.get())).transpose()
    }

    /// The text under a key: `Err` if something else stands there.
    pub fn text(&self, key: &str) -> Result<Option<String>, serde_json::Error> {
        self.get(key).map(|value| serde_json::from_str(value.get())).transpose()
    }

    /// The text or the number under a key, as text.
    pub fn scalar(&self, key: &str) -> Option<String> {
        let source = self.get(key)?.get();
        match source.as_bytes().first()? {
            b'"' => serde_json::from_str(source).ok(),
            b'-' | b'0'..=b'9' => Some(source.to_owned()),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'de>, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            if members.iter().any(|(name, _)| *name == key) {
                return Err(A::Error::custom(format!("the key {key:?} comes twice")));
            }
            members.push((key, map.next_value()?));
        }
        Ok(Object(members))
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'de>, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_text() {
        let object = Object::parse(r#"{"amount": 25.900000000000002, "id": 7, "name": "a\"b", "none": null}"#).unwrap();
        assert_eq!(object.scalar("amount").unwrap(), "25.900000000000002");
        assert_eq!(object.scalar("id").unwrap(), "7");
        assert_eq!(object.scalar("name").unwrap(), "a\"b");
        assert_eq!(object.scalar("none"), None);
    }

    #[test]
    fn a_key_that_comes_twice_is_refused() {
        for text in [r#"{"amount":1,"amount":100}"#, r#"{"amount":1,"\u0061mount":100}"#] {
            assert!(Object::parse(text).unwrap_err().to_string().contains("twice"), "{text}");
        }
    }
}
