//! Which addresses belong to the public internet.
//!
//! A name under an attacker's control may resolve to `127.0.0.1`, to a router, or to the address where a cloud hands out its
//! machine's credentials; so the address that is dialled is judged, not the name. IPv6 is judged by what is allowed, since
//! most of it is no one's yet, and because an IPv4 address can hide in it in several ways. No crate's `is_global` knows all of
//! them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address may not be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotPublic(&'static str);

impl NotPublic {
    /// In words, such as `loopback`.
    pub(crate) fn reason(self) -> &'static str {
        self.0
    }
}

/// First and last octets are fixed by (network, prefix length). IANA's special-purpose registry, plus multicast and reserved.
const DENIED_V4: [([u8; 4], u8, &str); 19] = [
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "carrier-grade NAT"),
    ([127, 0, 0, 0], 8, "loopback"),
    ([169, 254, 0, 0], 16, "link-local"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "reserved"),
    ([192, 0, 2, 0], 24, "documentation"),
    ([192, 31, 196, 0], 24, "reserved"),
    ([192, 52, 193, 0], 24, "reserved"),
    ([192, 88, 99, 0], 24, "6to4 relay"),
    ([192, 168, 0, 0], 16, "private"),
    ([192, 175, 48, 0], 24, "reserved"),
    ([198, 18, 0, 0], 15, "benchmarking"),
    ([198, 51, 100, 0], 24, "documentation"),
    ([203, 0, 113, 0], 24, "documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved"),
    // Public by number, but a virtual machine at Azure finds its cloud's metadata there.
    ([168, 63, 129, 16], 32, "cloud metadata"),
];

/// Carved out of 2000::/3, the only part of IPv6 that is routed between networks.
const DENIED_V6: [([u16; 4], u8, &str); 5] = [
    ([0x2001, 0, 0, 0], 23, "reserved"),
    ([0x2001, 0xdb8, 0, 0], 32, "documentation"),
    ([0x2002, 0, 0, 0], 16, "6to4"),
    ([0x2620, 0x4f, 0x8000, 0], 48, "reserved"),
    ([0x3fff, 0, 0, 0], 20, "documentation"),
];

/// Whether the address is one of the public internet.
pub(crate) fn public(address: IpAddr) -> Result<(), NotPublic> {
    match canonical(address) {
        IpAddr::V4(v4) => public_v4(v4),
        IpAddr::V6(v6) => public_v6(v6),
    }
}

/// An IPv4-mapped address as the IPv4 address that the system dials for it.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn public_v4(address: Ipv4Addr) -> Result<(), NotPublic> {
    let bits = address.to_bits();
    for (network, length, reason) in DENIED_V4 {
        if (bits ^ u32::from_be_bytes(network)) >> (32 - u32::from(length)) == 0 {
            return Err(NotPublic(reason));
        }
    }
    Ok(())
}

fn public_v6(address: Ipv6Addr) -> Result<(), NotPublic> {
    if let Some(embedded) = translated(address) {
        // Whoever translates is not this machine, and what it reaches is not for this table to know; the words say what is
        // inside, so that an operator who lives behind NAT64 knows what to open.
        return Err(NotPublic(if public_v4(embedded).is_ok() {
            "translated to IPv4"
        } else {
            "translated to private IPv4"
        }));
    }
    if address.is_loopback() {
        return Err(NotPublic("loopback"));
    }
    let bits = address.to_bits();
    if bits >> 125 != 0b001 {
        return Err(NotPublic(match address.segments()[0] {
            0xfe80..=0xfebf => "link-local",
            0xfc00..=0xfdff => "private",
            0xff00..=0xffff => "multicast",
            _ => "reserved",
        }));
    }
    for (network, length, reason) in DENIED_V6 {
        let [a, b, c, d] = network;
        let network = Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_bits();
        if (bits ^ network) >> (128 - u32::from(length)) == 0 {
            return Err(NotPublic(reason));
        }
    }
    match isatap(address) {
        Some(embedded) => public_v4(embedded),
        None => Ok(()),
    }
}

/// The IPv4 address that a translator would reach: NAT64 (RFC 6052), 6to4 (RFC 3056), and IPv4-compatible.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match [a, b, c, d, e, f] {
        [0x64, 0xff9b, 0, 0, 0, 0] | [0x64, 0xff9b, 1, _, _, _] => v4(g, h),
        [0x2002, high, low, _, _, _] => v4(high, low),
        [0, 0, 0, 0, 0, 0] if !(g == 0 && h <= 1) => v4(g, h),
        _ => None,
    }
}

/// RFC 5214: an interface identifier of 5efe and the IPv4 address that the tunnel dials.
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., e, f, g, h] = address.segments();
    (matches!(e, 0 | 0x0200) && f == 0x5efe).then(|| Ipv4Addr::from_bits(u32::from(g) << 16 | u32::from(h)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(text: &str) -> Option<&'static str> {
        public(text.parse().unwrap()).err().map(NotPublic::reason)
    }

    #[test]
    fn the_public_internet_is_open() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "168.63.129.15",
            "2606:4700::1111",
            "2a00:1450:4001::8a",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2400::1",
            "3ffe::1",
            "::ffff:8.8.8.8",
            "2606:4700::200:5efe:808:808",
        ] {
            assert_eq!(reason(text), None, "{text}");
        }
    }

    #[test]
    fn first_and_last_address_of_each_closed_network_are_closed() {
        for (first, last, words) in [
            ("0.0.0.0", "0.255.255.255", "this network"),
            ("10.0.0.0", "10.255.255.255", "private"),
            ("100.64.0.0", "100.127.255.255", "carrier-grade NAT"),
            ("127.0.0.0", "127.255.255.255", "loopback"),
            ("169.254.0.0", "169.254.169.254", "link-local"),
            ("172.16.0.0", "172.31.255.255", "private"),
            ("192.0.0.0", "192.0.0.192", "reserved"),
            ("192.0.2.0", "192.0.2.255", "documentation"),
            ("192.31.196.0", "192.31.196.255", "reserved"),
            ("192.52.193.0", "192.52.193.255", "reserved"),
            ("192.88.99.0", "192.88.99.255", "6to4 relay"),
            ("192.168.0.0", "192.168.255.255", "private"),
            ("192.175.48.0", "192.175.48.255", "reserved"),
            ("198.18.0.0", "198.19.255.255", "benchmarking"),
            ("198.51.100.0", "198.51.100.255", "documentation"),
            ("203.0.113.0", "203.0.113.255", "documentation"),
            ("224.0.0.0", "239.255.255.255", "multicast"),
            ("240.0.0.0", "255.255.255.255", "reserved"),
            ("168.63.129.16", "168.63.129.16", "cloud metadata"),
            ("2001::", "2001:1ff:ffff::", "reserved"),
            ("2001:db8::", "2001:db8:ffff::", "documentation"),
            ("2620:4f:8000::", "2620:4f:8000:ffff::", "reserved"),
            ("3fff::", "3fff:fff:ffff::", "documentation"),
            ("fe80::1", "febf::1", "link-local"),
            ("fc00::", "fd00:ec2::254", "private"),
            ("ff00::", "ffff::", "multicast"),
            ("::", "fec0::1", "reserved"),
            ("100::", "1fff::", "reserved"),
            ("4000::", "9000::", "reserved"),
        ] {
            assert_eq!(reason(first), Some(words), "{first}");
            assert_eq!(reason(last), Some(words), "{last}");
        }
        assert_eq!(reason("::1"), Some("loopback"));
    }

    #[test]
    fn ipv4_in_ipv6_is_judged_by_what_is_inside_or_closed() {
        for (text, words) in [
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:169.254.169.254", "link-local"),
            ("::ffff:a00:1", "private"),
            ("64:ff9b::7f00:1", "translated to private IPv4"),
            ("64:ff9b::808:808", "translated to IPv4"),
            ("64:ff9b:1::a00:1", "translated to private IPv4"),
            ("2002:7f00:1::1", "translated to private IPv4"),
            ("2002:808:808::1", "translated to IPv4"),
            ("::7f00:1", "translated to private IPv4"),
            ("2606:4700::5efe:7f00:1", "loopback"),
            ("2606:4700::200:5efe:a9fe:a9fe", "link-local"),
        ] {
            assert_eq!(reason(text), Some(words), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_closed_ipv4_address_stays_closed_in_every_ipv6_dress(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let [high, low] = [(bits >> 16) as u16, bits as u16];
            let open = public(v4.into()).is_ok();
            prop_assert_eq!(public(v4.to_ipv6_mapped().into()).is_ok(), open);
            prop_assert_eq!(public(Ipv6Addr::new(0x2606, 0, 0, 0, 0, 0x5efe, high, low).into()).is_ok(), open);
            for translated in [
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            ] {
                prop_assert!(public(translated.into()).is_err());
            }
        }

        #[test]
        fn nothing_outside_global_unicast_is_open(bits: u128) {
            let v6 = Ipv6Addr::from_bits(bits);
            if v6.to_ipv4_mapped().is_none() && bits >> 125 != 1 {
                prop_assert!(public(v6.into()).is_err());
            }
        }
    }
}
