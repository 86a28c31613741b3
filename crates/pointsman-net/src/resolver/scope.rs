//! Addresses of name servers that are on one link alone.

use std::io;
use std::net::{SocketAddr, SocketAddrV6};

use pointsman_spec::resolver::Place;

/// The address with the number of the interface that it is on: interfaces come and go, so it is asked for each time.
pub(super) fn scoped(place: &Place) -> io::Result<SocketAddr> {
    match (&place.interface, place.address) {
        (Some(interface), SocketAddr::V6(address)) => {
            let index = pointsman_os::socket::interface_index(interface)?;
            let (ip, port, flow) = (*address.ip(), address.port(), address.flowinfo());
            Ok(SocketAddrV6::new(ip, port, flow, index).into())
        }
        (_, address) => Ok(address),
    }
}
