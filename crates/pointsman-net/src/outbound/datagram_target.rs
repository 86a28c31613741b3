//! Groups of targets over UDP: the member that a flow is given.
//!
//! Invariant: nothing is sent to find out whether a target is there. Who is given one is told so in its record, with those
//! that it was not given, and why.

use std::net::SocketAddr;
use std::sync::Arc;

use pointsman_policy::Host;
use pointsman_spec::address::{Endpoint, Families, Server};
use pointsman_spec::asks::Asked;
use tokio::time::Instant;

use super::target::Aim;
use super::trials::{Trial, Trials};
use super::{DatagramWay, Destination, DialError, Pick, Stay, Ways};
use crate::ends::{ClientAddr, Ends};
use crate::group::Watch;
use crate::ledger::Ticket;
use crate::spec::listening::At;

/// A target that a flow over UDP is given, and by which way it is reached.
#[derive(Debug)]
pub(crate) struct DatagramTarget {
    pub(crate) way: DatagramWay,
    /// Where it is, as proxies are told.
    pub(crate) destination: Destination,
    /// Where it is from here, with no proxy between.
    pub(crate) to: Option<SocketAddr>,
    /// What the flow occupies.
    pub(crate) stay: Stay,
    /// Tells the group what becomes of it.
    pub(crate) watch: Watch,
}

impl Ways {
    /// The target for a flow of a forward: the first, by the group's balance, that does not rest and of which it is known
    /// where it is.
    ///
    /// # Errors
    /// [`DialError::Shut`]: the flow is refused. Else no member has an address.
    pub(crate) async fn datagram_target(
        &self,
        pick: &Pick,
        ends: &Ends,
        same_family: bool,
        ticket: &mut Ticket,
    ) -> Result<DatagramTarget, DialError> {
        let Some(group) = self.balanced(pick.member) else {
            return Err(DialError::NoDatagrams {
                outbound: self.name(pick.member),
                why: "it is no group of targets",
            });
        };
        let stay = group.admit()?;
        let (tried, how) = (group.tried, group.how);
        let mut trials = Trials::new(self, group, ends.client.map(ClientAddr::get));
        while let Some(trial) = trials.next(ticket).await {
            let Trial {
                aim,
                index,
                begun,
                trying,
            } = trial;
            // It lives on with the flow, which is to find out whether the member is there.
            let mut watch = tried.watch(index, begun, how);
            trying.known();
            match aim.datagrams(ends, same_family).await {
                Ok((way, place, to)) => {
                    if let Some(line) = ticket.line() {
                        line.sent_to(aim.target, to);
                    }
                    return Ok(DatagramTarget {
                        way,
                        destination: place,
                        to,
                        stay: stay.into(),
                        watch,
                    });
                }
                Err(error) => {
                    if error.may_pass() {
                        watch.fails(Instant::now());
                    }
                    trials.failed(&aim, error, ticket);
                }
            }
        }
        Err(trials.over())
    }
}

impl Aim<'_> {
    /// By which way datagrams go to the target, and where; nothing is sent. From here they go to an address, a proxy may be
    /// told a name.
    async fn datagrams(
        &self,
        ends: &Ends,
        same_family: bool,
    ) -> Result<(DatagramWay, Destination, Option<SocketAddr>), DialError> {
        let Endpoint::Udp(Server { host, port }) = &self.target.address else {
            return Err(DialError::NoDatagrams {
                outbound: Arc::clone(self.name),
                why: "its address is none of UDP",
            });
        };
        let way = match self.target.via {
            Some(via) => self.ways.datagram_way(&self.ways.pick(via))?,
            None => self.ways.direct_datagrams(self.name),
        };
        let families = self.families(ends, same_family);
        let bound = matches!(families, Families::Ipv4Only | Families::Ipv6Only);
        let place = |host| Destination {
            host,
            port: *port,
            resolved: Vec::new(),
            asked: Asked::default(),
        };
        if let (false, Host::Name(_), false) = (way.is_direct(), host, bound) {
            let destination = place(host.clone());
            self.ways.refuse_like_address(&destination)?;
            return Ok((way.to(&destination, None), destination, None));
        }
        let (address, _others) = self.addresses(host, families).await?;
        let (destination, to) = (
            place(Host::Address(address)),
            SocketAddr::new(address, *port),
        );
        if !way.is_direct() {
            return Ok((way.to(&destination, None), destination, None));
        }
        self.ways.refuse_own_at(At::Udp(to))?;
        Ok((way.to(&destination, Some(to)), destination, Some(to)))
    }
}
