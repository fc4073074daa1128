//! At which places of a payment does something go wrong, so that few runs meet every kind of place?

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::random::Random;
use crate::scene::{Scene, script};
use crate::shim::{Call, Kind, Point, Role, Shim};
use crate::steps::{is_acknowledgement, is_commit, is_money_command};
use crate::tally::Tally;

/// Places that show the same: one of them is drawn for a run.
#[derive(Clone, Debug)]
pub struct Class {
    /// The payment.
    pub scene: Scene,
    /// Whether a commit is written there and not synced.
    pub is_unsynced: bool,
    places: Vec<(u32, Point)>,
}

impl Class {
    /// The number of a call, and where in it.
    pub fn draw(&self, random: &mut Random) -> (u32, Point) {
        *random.pick(&self.places)
    }
}

/// All of a scene, in the order of its calls.
fn classes(scene: Scene, calls: &[Call]) -> Vec<Class> {
    let mut found = Vec::new();
    let mut inside = Vec::new();
    let mut talk = Vec::new();
    for (number, call) in (1..).zip(calls) {
        let acknowledges = || is_acknowledgement(scene.terminal, &calls[..number as usize]);
        match call.kind {
            Kind::Write if is_commit(&calls[..number as usize]) => {
                inside.extend([(number, Point::Before), (number, Point::Torn)]);
                found.push(std::mem::take(&mut inside));
                found.push(vec![(number, Point::After)]);
            }
            Kind::Sync => {
                let after = found.len() - 1;
                found[after].push((number, Point::Before));
                found.push(vec![(number, Point::After)]);
            }
            Kind::Send if call.role == Role::Till || is_money_command(call) || acknowledges() => {
                found.extend([Point::Before, Point::Torn, Point::After].map(|point| vec![(number, point)]));
            }
            Kind::Send => talk.extend([Point::Before, Point::Torn, Point::After].map(|point| (number, point))),
            Kind::Write | Kind::Size | Kind::Name => {
                inside.extend([Point::Before, Point::Torn, Point::After].map(|point| (number, point)));
            }
        }
    }
    found.push(talk);
    found.retain(|places| !places.is_empty());
    let is_sync =
        |(number, point): &(u32, Point)| *point == Point::Before && calls[*number as usize - 1].kind == Kind::Sync;
    let class = |places: Vec<_>| Class { scene, is_unsynced: places.iter().any(is_sync), places };
    found.into_iter().map(class).collect()
}

/// Those of several scenes. A payment that nothing disturbs must hold, too: `None` when it does not.
pub async fn all_classes(scenes: &[Scene], shim: &Arc<Shim>, tally: &mut Tally) -> Option<Vec<Class>> {
    let scripts = counted(scenes, shim, tally).await?;
    Some(scripts.iter().flat_map(|(scene, calls)| classes(*scene, calls)).collect())
}

/// The calls of several scenes.
pub async fn counted(scenes: &[Scene], shim: &Arc<Shim>, tally: &mut Tally) -> Option<Vec<(Scene, Vec<Call>)>> {
    let scripts: Vec<_> = scenes.iter().map(|&scene| (scene, written(scene, shim))).collect();
    let mut found = Vec::new();
    for (scene, script) in scripts {
        match script.await.expect("counting does not panic") {
            Ok(calls) => found.push((scene, calls)),
            Err(why) => {
                tally.ran(&format!("{scene}, undisturbed"), [why]);
                return None;
            }
        }
    }
    Some(found)
}

fn written(scene: Scene, shim: &Arc<Shim>) -> JoinHandle<Result<Vec<Call>, String>> {
    let shim = Arc::clone(shim);
    tokio::spawn(async move { script(scene, &shim).await })
}
