"""`worker.py train`: learn a policy offline, in simulated markets or on tapes.

    uv run worker.py train --steps 300000 --seed 1

Learns with PPO from what the flow that trades does on paper: the same features, gate, latency,
fees and sizing. Writes a model's folder, its optimizer and checkpoints with it; ctrl-C keeps what
was learned, `--resume` goes on. Nothing trades by it until `worker.py models promote FOLDER`.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path
from typing import Final

import msgspec

from helpers import logs
from helpers.clock import RealClock, monotonic_seconds
from helpers.commands.config import report_settings_error, warn_unknown_names
from helpers.commands.progress_bar import ProgressBar
from helpers.commands.terminal import write_out
from helpers.commands.verbs import verb_parser
from helpers.domain import FEATURE_NAMES_OF, FUSION_VERSION, NS_PER_SECOND, Message
from helpers.logs import Tag, logger
from helpers.settings import Settings, SettingsError, load_settings
from helpers.tape import TapeError, TapeFaults, read_tape
from helpers.training.environment import ENVIRONMENTS_MAXIMUM
from helpers.training.keeping import (
    Origin,
    cut_curve,
    fresh_model,
    read_checkpoint,
    write_checkpoint,
)
from helpers.training.telling import log_update
from helpers.training.trainer import AnotherTrainingError, Learned, Trainer, TrainingError
from strategies.base import ModelError
from strategies.model_files import MANIFEST_FILE
from strategies.models import FRESH_STATISTICS
from strategies.ppo_settings import PpoSettings
from strategies.registry import load

EXIT_FAILED: Final = 70
EXIT_UNREADABLE: Final = 66
EXIT_USAGE: Final = 2
OUTPUT: Final = Path("backups/training")
STEPS_MAXIMUM: Final = 100_000_000
ENVIRONMENTS_DEFAULT: Final = 2
"""The same on every machine: what is learned depends on it."""
CHECKPOINT_UPDATES: Final = 50
STEPS_DEFAULT: Final = 300_000
SEED_MAXIMUM: Final = 1_000_000
SIMULATED: Final = "the calibrated simulator"
LINE_UPDATES: Final = 10
"""Updates between two lines; all are in ``curve.jsonl``."""
CURVE: Final = "curve.jsonl"


def main(arguments: list[str]) -> int:
    """Train; return 0, 2 for usage, 66 for what cannot be read, 70 for a failure, 78 settings."""
    options = _parse(arguments)
    try:
        settings = load_settings(strategy="rl")
    except SettingsError as error:
        return report_settings_error(error)
    warn_unknown_names()
    output: Path = options.output or OUTPUT / f"seed-{options.seed}"
    lines = logs.configure(clock=RealClock(), json_lines=False, directory=None, level="info")
    try:
        return Training(options, output).run(settings)
    except (TapeError, ModelError) as error:
        sys.stderr.write(f"worker.py train: {error}\n")
        return EXIT_UNREADABLE
    except AnotherTrainingError as error:
        sys.stderr.write(f"worker.py train: {error}\n")
        return EXIT_USAGE
    except TrainingError as error:
        sys.stderr.write(f"worker.py train: {error}\n")
        return EXIT_FAILED
    finally:
        lines.close()


class CurvePoint(Message, frozen=True):
    """A line of ``curve.jsonl``."""

    learned: Learned
    gather_seconds: float
    learn_seconds: float


class Training:
    """One call of the verb."""

    def __init__(self, options: argparse.Namespace, output: Path) -> None:
        self._options = options
        self._output = output
        self._clock = RealClock()
        self._log = logger(Tag.RL)
        self._kept_updates = -1

    def run(self, settings: Settings) -> int:
        """Learn until there are as many steps as asked, or somebody stops it."""
        from simulator.training import Ground
        from simulator.training_processes import EnvironmentLostError, running_environments

        options = self._options
        for tape in options.tapes:
            if next(read_tape(tape, TapeFaults()), None) is None:
                raise TapeError(f"{tape} holds no frame")
        trainer, origin = self._begin()
        ground = Ground(settings, origin.feature_version, tuple(options.tapes))
        self._output.mkdir(parents=True, exist_ok=True)
        cut_curve(self._output / CURVE, trainer.progress.updates)
        running = running_environments(
            options.environments, options.seed, ground, trainer.progress.updates
        )
        stopped = False
        try:
            with (
                running as environments,
                (self._output / CURVE).open("ab") as curve,
                ProgressBar(options.steps, "steps", trainer.progress.steps) as bar,
            ):
                while trainer.progress.steps < options.steps:
                    began = monotonic_seconds()
                    wanted = trainer.settings.batch_size
                    experience = environments.collect(trainer.parameters(), wanted)
                    gathered = monotonic_seconds()
                    learned = trainer.learn(experience)
                    ended = monotonic_seconds()
                    point = CurvePoint(learned, gathered - began, ended - gathered)
                    curve.write(msgspec.json.encode(point) + b"\n")
                    curve.flush()
                    self._tell(point, bar)
                    if learned.progress.updates % CHECKPOINT_UPDATES == 0:
                        self._keep(trainer, origin)
        except KeyboardInterrupt:
            stopped = True
        except EnvironmentLostError as error:
            self._keep(trainer, origin)
            raise TrainingError(f"{error}; what was learned is in {self._output}") from error
        return self._end(trainer, origin, stopped=stopped)

    def _begin(self) -> tuple[Trainer, Origin]:
        options = self._options
        data = ", ".join(tape.name for tape in options.tapes) or SIMULATED
        settings = PpoSettings()
        exists = (self._output / MANIFEST_FILE).exists()
        if options.resume and not exists:
            raise AnotherTrainingError(
                f"{self._output}: there is no training to go on with; begin it without --resume"
            )
        if options.resume:
            origin = Origin(options.seed, options.features, data)
            return read_checkpoint(self._output, origin, settings)
        if exists:
            raise AnotherTrainingError(
                f"{self._output}: there is a training already; go on with --resume, or use "
                "another --output"
            )
        if options.start is None:
            model, parent = fresh_model(options.seed, options.features), ""
        else:
            model = load(options.start)
            parent = model.manifest.model_id
        # Another training's rewards, or Phase 5's raw ones, say nothing about these returns.
        model = model._replace(statistics=FRESH_STATISTICS)
        origin = Origin(options.seed, model.manifest.feature_version, data, parent)
        return Trainer(model, settings, options.seed), origin

    def _tell(self, point: CurvePoint, bar: ProgressBar) -> None:
        learned = point.learned
        if learned.report.problem or learned.progress.updates % LINE_UPDATES == 0:
            bar.clear()
            log_update(self._log, learned, point.learn_seconds)
        bar.show(learned.progress.steps)

    def _keep(self, trainer: Trainer, origin: Origin) -> None:
        if trainer.progress.updates == self._kept_updates:
            return
        now_ns = self._clock.now_ns()
        day = datetime.datetime.fromtimestamp(now_ns / NS_PER_SECOND, datetime.UTC).date()
        write_checkpoint(trainer, origin, self._output, now_ns, day.isoformat())
        self._kept_updates = trainer.progress.updates

    def _end(self, trainer: Trainer, origin: Origin, *, stopped: bool) -> int:
        progress = trainer.progress
        if not progress.updates:
            write_out("stopped before anything was learned\n")
            return 0
        self._keep(trainer, origin)
        how = "stopped; go on with --resume" if stopped else "done"
        write_out(
            f"{how}: {progress.steps:,} steps, {progress.updates:,} updates, in {self._output}\n"
            f"try it: uv run worker.py backtest --simulated 60 --seed 900000 --strategy "
            f"{self._output},random,hold,momentum\n"
        )
        return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    made = verb_parser("train")
    made.add_argument("tapes", nargs="*", type=Path,
                      help="tapes to learn from (default: simulated markets)")  # fmt: skip
    made.add_argument("--steps", type=int, default=STEPS_DEFAULT, metavar="N",
                      help="choices to learn from (default: %(default)s)")  # fmt: skip
    made.add_argument("--seed", type=int, default=1, metavar="S",
                      help="of weights, markets and sampling (default: %(default)s)")  # fmt: skip
    made.add_argument("--features", choices=sorted(FEATURE_NAMES_OF), default=FUSION_VERSION,
                      help="what the policy sees (default: %(default)s)")  # fmt: skip
    made.add_argument("--from", dest="start", type=Path, metavar="MODEL",
                      help="folder of a model to begin from (default: fresh weights)")  # fmt: skip
    made.add_argument("--output", type=Path, metavar="FOLDER",
                      help=f"where to keep it (default: {OUTPUT}/seed-S)")  # fmt: skip
    made.add_argument("--resume", action="store_true", help="go on with what is there")
    made.add_argument("--environments", type=int, default=ENVIRONMENTS_DEFAULT, metavar="N",
                      help="that trade side by side, each a process (default: 2)")  # fmt: skip
    options = made.parse_args(arguments)
    if not 1 <= options.steps <= STEPS_MAXIMUM:
        made.error(f"--steps was {options.steps}, expected 1 to {STEPS_MAXIMUM}")
    if not 0 <= options.seed <= SEED_MAXIMUM:
        made.error(f"--seed was {options.seed}, expected 0 to {SEED_MAXIMUM}")
    if not 1 <= options.environments <= ENVIRONMENTS_MAXIMUM:
        made.error(
            f"--environments was {options.environments}, expected 1 to {ENVIRONMENTS_MAXIMUM}"
        )
    if options.resume and options.start is not None:
        made.error("--resume goes on, --from begins: one of the two")
    return options
