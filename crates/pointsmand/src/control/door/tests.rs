//! Places, and who waits for one.

use super::*;

#[test]
fn the_places_of_one_kind_are_not_anothers() {
    let places = Places::default();
    let mut held = Vec::new();
    let mut take = |method: Method, path: &str| match places.take(&method, path) {
        Ok((place, follows)) => {
            held.push(place);
            Some(follows)
        }
        Err(Refusal(status, ..)) => {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            None
        }
    };
    let mut fill = |method: Method, path: &str| {
        let mut count = 0;
        while take(method.clone(), path).is_some() {
            count += 1;
        }
        count
    };
    assert_eq!(fill(Method::GET, route::EVENTS), FOLLOWERS);
    assert_eq!(fill(Method::GET, route::REQUESTS), 0);
    assert_eq!(fill(Method::POST, route::EXPLAIN), SHORT);
    assert_eq!(fill(Method::GET, route::FLOWS), 0);
    assert_eq!(fill(Method::POST, route::RELOAD), KEPT);
    assert_eq!(fill(Method::POST, route::CONFIRM), 0);
    // Reloads that wait for each other keep nobody from asking, nor from ending the daemon.
    assert_eq!(fill(Method::GET, route::STATUS), KEPT);
    assert_eq!(fill(Method::POST, route::STOP), 0);
}

#[test]
fn the_oldest_of_those_who_wait_makes_room() {
    let lobby = Arc::new(Lobby::default());
    let clients: Vec<_> = (0..WAITING + 2).map(|_| lobby.enter()).collect();
    let waits = |client: &Arc<Client>| lobby.waiting().iter().any(|it| Arc::ptr_eq(it, client));
    assert!(!waits(&clients[0]) && !waits(&clients[1]) && waits(&clients[2]));
    lobby.make_room();
    assert!(!waits(&clients[2]) && waits(&clients[3]));
    lobby.leave(&clients[4]);
    assert_eq!(lobby.waiting().len(), WAITING - 2);
}
