//! Who listens to the events has one of a few places, and gives it back at once.

use tillswitch::shop::get;
use tokio::io::AsyncWriteExt;

use super::{Listener, metric, paid};
use crate::harness::*;

const PLACES: usize = 32;

async fn until_listening(scene: &Scene, count: usize) {
    let series = "tillswitch_sse_clients{listener=\"admin\"}";
    until("as many listen", async || metric(scene, series).await == Some(count as f64)).await;
}

#[tokio::test]
async fn a_place_is_free_as_soon_as_its_listener_has_left() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    until_listening(&scene, 0).await;
    let mut listeners = all((0..PLACES).map(|_| Listener::open(&scene))).await;
    until_listening(&scene, PLACES).await;
    check(&get(scene.app.admin, "/api/v1/events").await.unwrap(), 429, "error", "too-many");

    // In order, while nothing happens: no write can find out that he has left.
    drop(listeners.pop());
    until_listening(&scene, PLACES - 1).await;
    // One who has only closed his side is gone as well.
    let mut half_closed = listeners.pop().unwrap();
    half_closed.stream.shutdown().await.unwrap();
    until_listening(&scene, PLACES - 2).await;

    let mut late = Listener::open(&scene).await;
    paid(&scene, "1.00", "1").await;
    for listener in listeners.iter_mut().chain([&mut late]) {
        listener.until(|heard| heard.contains("\"state\":\"approved\"")).await;
    }
    drop(listeners);
    until_listening(&scene, 1).await;
    scene.end().await;
}
