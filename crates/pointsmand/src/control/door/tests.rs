//! Places, and who comes in.

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

/// The first line of the answer to a request whose client is displaced at the moment that it is whole.
async fn displaced_at_the_door(lobby: &Arc<Lobby>) -> String {
    use axum::middleware::{from_fn, from_fn_with_state};
    use tokio::io::AsyncReadExt as _;

    async fn slow() -> &'static str {
        // As long as a reload: the connection waits for it again and again.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        "done"
    }
    async fn displace(request: Request, next: Next) -> Response {
        let client = request.extensions().get::<Arc<Client>>().unwrap();
        client.lobby.make_room();
        next.run(request).await
    }
    let places = Arc::new(Places::default());
    let router = Router::new()
        .route(route::RELOAD, axum::routing::post(slow))
        .layer(from_fn_with_state(places, admit))
        .layer(from_fn(displace));
    let (mut ours, theirs) = LocalStream::pair().unwrap();
    let request = format!("POST {} HTTP/1.1\r\nhost: x\r\n\r\n", route::RELOAD);
    ours.write_all(request.as_bytes()).await.unwrap();
    let client = lobby.enter();
    let mut answer = String::new();
    let (talked, read) = tokio::join!(
        talk(theirs, router, &client),
        ours.read_to_string(&mut answer)
    );
    talked.unwrap();
    read.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn whoever_is_inside_makes_room_for_nobody() {
    let lobby = Arc::new(Lobby::default());
    assert_eq!(displaced_at_the_door(&lobby).await, "HTTP/1.1 200 OK");
    assert!(lobby.waiting().is_empty());
}
