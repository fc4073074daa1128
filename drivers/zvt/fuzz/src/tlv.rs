//! Is every container read, written and cut off as it should be?

use tillswitch_zvt::tlv::{Content, MAXIMUM_DEPTH, Object, Tlv};

/// Input: where to cut (two bytes), the container.
pub fn check(input: &[u8]) {
    let Some((cut, bytes)) = input.split_first_chunk::<2>() else { return };
    let read = Tlv::parse(bytes);
    check_writing(bytes, &read);
    check_tree(&read, 0);
    check_prefix(bytes, usize::from(u16::from_le_bytes(*cut)) % (bytes.len() + 1), &read);
    check_debug(&read);
}

/// Lengths take their shortest form, everything else stays.
fn check_writing(bytes: &[u8], read: &Tlv) {
    let written = read.encode();
    assert!(written.len() <= bytes.len(), "bytes were invented");
    assert!(bytes.ends_with(read.undecoded()), "the rest is not the end");
    let again = Tlv::parse(&written);
    assert!(again == *read, "a tree is read as it was written");
    if written.len() == bytes.len() {
        assert!(written == bytes, "bytes were changed");
    }
    assert_eq!(read.is_empty(), bytes.is_empty());
}

fn check_tree(tlv: &Tlv, depth: usize) {
    assert!(depth <= MAXIMUM_DEPTH, "the tree is too deep");
    for object in tlv.objects() {
        match &object.content {
            Content::Objects(inner) => {
                assert_eq!(object.length(), inner.encode().len());
                check_tree(inner, depth + 1);
            }
            Content::Bytes(bytes) => {
                assert_eq!(object.length(), bytes.len());
                assert!(tlv.values(object.tag).any(|value| value == bytes));
                assert_eq!(tlv.find(&[object.tag]), tlv.values(object.tag).next());
            }
        }
    }
}

/// What has arrived of a container is read as it will be when the rest is there.
fn check_prefix(bytes: &[u8], cut: usize, whole: &Tlv) {
    let prefix = Tlv::parse(&bytes[..cut]);
    let (read, there): (&[Object], &[Object]) = (prefix.objects(), whole.objects());
    assert!(there.starts_with(read), "the rest of a container changed its beginning");
    assert!(cut < bytes.len() || read.len() == there.len());
}

/// `Debug` shows tags and lengths, whose number the bytes bound; a value would show up as more.
fn check_debug(read: &Tlv) {
    let shown = format!("{read:?}");
    assert!(shown.chars().all(|c| "[]:, ".contains(c) || c.is_ascii_hexdigit() || "bytes undecoded".contains(c)));
    assert!(shown.len() <= 40 * (1 + objects(read)), "{shown}");
}

fn objects(tlv: &Tlv) -> usize {
    let inside = |object: &Object| match &object.content {
        Content::Objects(inner) => 1 + objects(inner),
        Content::Bytes(_) => 1,
    };
    tlv.objects().iter().map(inside).sum::<usize>() + usize::from(!tlv.undecoded().is_empty())
}
