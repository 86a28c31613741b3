//! The addresses of this host, as the kernel shows them below `/proc/net`.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether `fib_trie` has it: an address on a line of its own, and that it is one of the host's on one behind it.
pub(super) fn has_v4(table: &str, address: Ipv4Addr) -> bool {
    let mut at = None;
    table.lines().map(str::trim).any(|line| {
        if let Some(other) = line.strip_prefix("|-- ") {
            at = other.parse().ok();
        }
        at == Some(address) && line == "/32 host LOCAL"
    })
}

/// Whether `if_inet6` has it: 32 digits begin each line.
pub(super) fn has_v6(table: &str, address: Ipv6Addr) -> bool {
    let digits = format!("{:032x}", u128::from(address));
    table.lines().any(|line| line.starts_with(&digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_host_are_told_from_networks() {
        let table = "\
Local:
  +-- 0.0.0.0/0 3 0 5
     +-- 192.0.2.0/24 2 0 2
           |-- 192.0.2.0
              /24 link BROADCAST
           |-- 192.0.2.2
              /32 link BROADCAST
              /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
";
        let has = |text: &str| has_v4(table, text.parse().unwrap());
        assert!(has("192.0.2.2"));
        assert!(!has("192.0.2.0") && !has("192.0.2.255") && !has("192.0.2.3"));
        let table = "fd000000000000000000000000000002 04 40 00 82     eth0\n";
        let has = |text: &str| has_v6(table, text.parse().unwrap());
        assert!(has("fd00::2") && !has("fd00::3"));
        assert!(!has_v4("", Ipv4Addr::new(192, 0, 2, 2)));
    }
}
