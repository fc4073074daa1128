//! At which places is a router killed, so that few runs meet every kind of place?

use super::scene::Scene;
use super::steps::{is_acknowledgement, is_commit, is_money_command};
use crate::random::Random;
use crate::shim::{Call, Kind, Point, Role};

/// Places that show the same: one of them is drawn for a run.
#[derive(Clone, Debug)]
pub struct Class {
    /// The payment.
    pub scene: Scene,
    places: Vec<(u32, Point)>,
}

impl Class {
    /// The number of a call, and where in it.
    pub fn draw(&self, random: &mut Random) -> (u32, Point) {
        *random.pick(&self.places)
    }
}

/// All of a scene, in the order of its calls.
pub fn classes(scene: Scene, calls: &[Call]) -> Vec<Class> {
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
    found.into_iter().filter(|places| !places.is_empty()).map(|places| Class { scene, places }).collect()
}
