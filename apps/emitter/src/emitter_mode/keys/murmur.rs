//! Murmur, the hash of targets in existing keys.

const SEED: u32 = 37;

/// MurmurHash3, 32 bits, with the bytes of the result in the other order.
pub(crate) fn murmur(text: &[u8]) -> u32 {
    let mix = |word: u32| {
        let word = word.wrapping_mul(0xcc9e_2d51).rotate_left(15);
        word.wrapping_mul(0x1b87_3593)
    };
    let (words, rest) = text.as_chunks::<4>();
    let mut hash = SEED;
    for word in words {
        hash ^= mix(u32::from_le_bytes(*word));
        hash = hash.rotate_left(13).wrapping_mul(5);
        hash = hash.wrapping_add(0xe654_6b64);
    }
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    hash ^= mix(u32::from_le_bytes(last));
    // The length counts modulo 2^32.
    hash ^= text.len() as u32;
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^= hash >> 16;
    hash.swap_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        for (text, hash) in [
            ("", 1_325_880_984),
            ("+", 1_815_237_614),
            ("#", 4_285_801_373),
            ("a/b", 2_685_989_312),
        ] {
            assert_eq!(murmur(text.as_bytes()), hash, "{text:?}");
        }
    }
}
