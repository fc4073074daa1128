//! What a reload refuses: everything that is wrong at once, and nothing changes.

use super::{append, edit, listed, metric, order};
use crate::harness::*;

#[tokio::test]
async fn every_fault_is_named_and_nothing_changes() {
    let scene = Scene::open(|folder| one_register(quick(folder, "counter"))).await;
    append(
        &scene,
        "[registers.POS-09]\nproject_ids = [\"9\"]\nterminal = \"nowhere\"\n\n[terminals.odd]\ndriver = \"ztv\"\n",
    );
    edit(&scene, &[("[webhook]", "[webhook]\nwiat = \"1s\"")]);
    let reply = order(&scene, "reload").await;
    check(&reply, 400, "error", "malformed");
    for fault in ["wiat", "nowhere", "ztv", "tillswitch.toml:"] {
        assert!(reply.body["message"].as_str().unwrap().contains(fault), "{fault}: {}", reply.text);
    }
    assert!(scene.app.reloader().reload().await.is_err());
    assert_eq!(listed(&scene, "odd").await, serde_json::Value::Null);
    check(
        &scene.send(sale("1.00", "1").with("project", serde_json::json!({ "id": "9" }))).await,
        404,
        "error",
        "unknown-register",
    );
    check_paid(&scene.send(sale("1.00", "1")).await, false);

    std::fs::remove_file(&scene.premises.config).unwrap();
    check(&order(&scene, "reload").await, 400, "error", "malformed");
    check_paid(&scene.send(sale("1.00", "2")).await, false);
    scene.end().await;
}

#[tokio::test]
async fn an_address_does_not_move_between_running_terminals() {
    let scene = Scene::open(|folder| two_registers(quick(folder, "counter"), quick(folder, "bar"))).await;
    let (counter, bar) = (scene.zvt("counter").addr().to_string(), scene.zvt("bar").addr().to_string());
    // They change places, and a register comes along.
    edit(&scene, &[(&counter, "somewhere"), (&bar, &counter), ("somewhere", &bar)]);
    append(&scene, &format!("[registers.POS-03]\nproject_ids = [{PROJECT_3:?}]\nterminal = \"bar\""));
    let reply = order(&scene, "reload").await;
    check(&reply, 400, "error", "malformed");
    assert!(reply.text.contains("restart"), "{}", reply.text);
    assert_eq!(metric(&scene, "tillswitch_config_last_reload_successful").await, Some(0.0));
    let new = "tillswitch_payments_in_progress{register=\"POS-03\",terminal=\"bar\"}";
    assert_eq!(metric(&scene, new).await, None, "nothing changed, in the metrics neither");
    assert_eq!(listed(&scene, "counter").await["address"], counter.as_str());
    assert_eq!(listed(&scene, "bar").await["address"], bar.as_str());
    check_paid(&scene.send(sale("1.00", "1")).await, false);
    assert_eq!((scene.booked("counter"), scene.booked("bar")), (vec![100], vec![]));
    scene.end().await;
}
