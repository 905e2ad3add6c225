//! One fault, once.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{Fault, scene::Scene};
use crate::checker::{Report, check, write_log};

/// Traffic before something breaks, and after everything is whole again.
const AROUND: Duration = Duration::from_secs(2);

/// How long messages may be late in the end, besides the time in which a loss has to be told.
const SETTLE: Duration = Duration::from_secs(3);

/// How often the log is looked at then.
const LOOK: Duration = Duration::from_millis(300);

/// Names of what an [`Outcome`] prints.
pub const HEADER: &str = "| fault | seed | published | acknowledged | delivered | gaps told | losses told | unpromised losses | silent losses | other violations | \
     longest until told, s | latest delivery, s | back after, s |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|";

/// Runs rounds with a program, and keeps the logs of those that fail.
#[derive(Debug, Clone)]
pub struct Runner {
    /// The program.
    pub program: PathBuf,
    /// Where logs are kept.
    pub folder: PathBuf,
    /// How long things may take until a round has failed.
    pub patience: Patience,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From the acknowledgement of a message until those who do not get it know that they may lack something.
    pub told_within: Duration,
    /// From the repair until everybody gets what everybody publishes.
    pub back_within: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            told_within: Duration::from_secs(5),
            back_within: Duration::from_secs(3),
        }
    }
}

/// What came of a round.
#[derive(Debug)]
pub struct Outcome {
    fault: &'static str,
    seed: u64,
    /// What the checker says.
    pub report: Report,
    /// Where the logs are, when it failed.
    pub kept: Option<PathBuf>,
}

impl Outcome {
    /// Nothing was lost without a word, no promise broken, and everything went on in time.
    pub fn is_good(&self) -> bool {
        self.kept.is_none()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.report;
        let secs = |time: Duration| format!("{:.2}", time.as_secs_f64());
        let others = report.violations.len() - report.silent_losses();
        write!(
            f,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {others} | {} | {} | {} |",
            self.fault,
            self.seed,
            report.published,
            report.acknowledged,
            report.delivered,
            report.gaps_told,
            report.told_losses,
            report.unpromised_losses,
            report.silent_losses(),
            secs(report.told_after),
            secs(report.latest),
            report.back_after.map_or_else(|| "never".to_owned(), secs),
        )?;
        if !report.losses.is_empty() {
            write!(f, " silent: {:?}", report.losses)?;
        }
        if let Some(kept) = &self.kept {
            write!(f, " {}", kept.display())?;
        }
        Ok(())
    }
}

impl Runner {
    /// Runs a round: traffic, the fault, traffic, and what the checker says.
    pub fn round(&self, fault: &Fault, seed: u64) -> Outcome {
        let name = format!("{}-{seed}", fault.name.replace([' ', ','], "-"));
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut scene = Scene::start(&self.program, &folder, &fault.cast, seed);
        scene.wait(AROUND);
        scene.broken(fault.name, fault.parts);
        (fault.act)(&mut scene);
        scene.mended();
        scene.wait(AROUND);
        let report = self.settle(scene, &folder);
        let back = report.back_after;
        let is_back = back.is_some_and(|back| back <= self.patience.back_within);
        let is_good = is_back && report.violations.is_empty();
        let mut outcome = Outcome {
            fault: fault.name,
            seed,
            report,
            kept: None,
        };
        if is_good {
            // It lies in the build folder: leaving it would do no harm.
            let _ = std::fs::remove_dir_all(&folder);
        } else {
            let violations = outcome.report.violations.iter();
            let lines: Vec<_> = violations.map(ToString::to_string).collect();
            std::fs::write(folder.join("violations"), lines.join("\n")).unwrap();
            outcome.kept = Some(folder);
        }
        outcome
    }

    /// Waits for what is late, has everybody leave, and checks the log.
    fn settle(&self, mut scene: Scene, folder: &Path) -> Report {
        let within = self.patience.told_within;
        scene.traffic.stop_publishing();
        let until = Instant::now() + within + SETTLE;
        while Instant::now() < until && check(&scene.log.events(), within).silent_losses() > 0 {
            scene.wait(LOOK);
        }
        scene.traffic.stop();
        let events = scene.log.events();
        write_log(&folder.join("events.jsonl"), &events).unwrap();
        check(&events, within)
    }
}
