#!/usr/bin/env python3
"""Makes a small language model from text: vocabulary, token files, training, GGUF.

    python train.py tokenizer                       # corpus           -> work/tokenizer.model
    python train.py prepare                         # corpus           -> work/data/*.bin
    python train.py train configs/tiny.toml         # token files      -> work/runs/tiny/checkpoint.pt
    python train.py export configs/tiny.toml -o tiny-f32.gguf

or all of it, with a mixed text and a second phase, and quantising and signing besides:

    python train.py model configs/default.toml --llmtool LLMTOOL -o default.gguf
"""

import argparse
import json
import os
import sys
from pathlib import Path

# On a machine with other work, OpenMP threads that spin at a barrier keep the core that the thread they
# wait for needs: a step was seen to take ten times as long. Must be set before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from trainlib import corpus  # noqa: E402  (light modules only: --help must not wait for torch)
from trainlib.config import ConfigError  # noqa: E402


def run_folder(args) -> Path:
    return args.run or args.work / "runs" / args.config.stem


def load_model(args):
    from trainlib.loop import load_checkpoint

    place = run_folder(args) / ("averaged.pt" if args.averaged else "checkpoint.pt")
    if not place.exists():
        raise SystemExit(f"no checkpoint at {place}: run `{'average' if args.averaged else 'train'} {args.config}` first")
    return load_checkpoint(place)


def load_tokenizer(args):
    from trainlib import tokenizer

    place = args.work / "tokenizer.model"
    if not place.exists():
        raise SystemExit(f"no vocabulary at {place}: run `tokenizer` first")
    return tokenizer.load(place)


def command_tokenizer(args):
    from trainlib import tokenizer

    args.work.mkdir(parents=True, exist_ok=True)
    place = args.work / "tokenizer.model"
    pieces = tokenizer.train(args.text or corpus.train_files(), args.vocab, args.conversations)
    place.with_suffix(".new").write_bytes(pieces)
    place.with_suffix(".new").replace(place)
    print(f"{args.vocab} pieces in {place}")


def command_prepare(args):
    from trainlib import data

    meta = data.prepare(
        load_tokenizer(args), args.text or corpus.train_files(), args.valid or corpus.valid_file(),
        args.drop_titles, args.seed, args.work / "data", dict(args.also_valid), args.conversations,
    )
    print(json.dumps(meta, indent=1))


def command_train(args):
    from trainlib import parallel

    if args.fresh:
        for name in ("finished", "log.jsonl", "loss.svg", "averaged.pt", "checkpoint.pt"):
            (run_folder(args) / name).unlink(missing_ok=True)
    if args.processes > 1:
        parallel.run(args.processes, run_folder(args), train, args)
    else:
        train(args, parallel.Peers())


def train(args, peers):
    """What each process of a run does."""
    import torch

    from trainlib import config, export, loop, plot
    from trainlib.schedule import Schedule

    if args.threads and peers.count == 1:
        torch.set_num_threads(args.threads)
    folder = run_folder(args)
    trainer = loop.Trainer(config.load(args.config), args.work / "data", folder, peers)
    if (folder / "checkpoint.pt").exists():
        trainer.resume()
    else:
        trainer.forget(0)
        if args.init:
            trainer.begin_with(args.init)
    if args.knots:
        trainer.schedule = Schedule([tuple(knot) for knot in json.loads(args.knots.read_text())])
    if peers.leads:
        print(f"{trainer.model.parameter_count():,} parameters, {trainer.schedule.steps} steps, from step {trainer.step}; "
              f"{trainer.windows.epoch_tokens:,} tokens per epoch")
    processor = load_tokenizer(args) if args.export_to else None

    def write_gguf(trainer):
        if args.export_to:
            export.write(trainer.model, processor, args.export_to, f"step {trainer.step} of {trainer.schedule.steps}")

    trainer.run(args.max_minutes, args.checkpoint_minutes, args.stop_at, write_gguf)
    if trainer.step < trainer.schedule.steps:
        if peers.leads:
            print(f"stopped at step {trainer.step} of {trainer.schedule.steps}")
        return
    found = trainer.measure_all(None, trainer.config.model.context // 2, whole=True)
    if peers.leads:
        config = trainer.config
        read = "conversations" if config.train.answers else "tokens"
        count = trainer.step * config.train.batch * (1 if config.train.answers else config.model.context)
        whole = "whole file" if config.train.answers else "whole file, stride half"
        result = f"step {trainer.step}, {count:,} {read}, {trainer.seconds / 60:.1f} minutes: {trainer.say(found)} ({whole})"
        print(result)
        write_gguf(trainer)
        plot.draw(folder / "log.jsonl", trainer.meta, folder / "loss.svg")
        (folder / "finished").write_text(result + "\n")


def command_mix(args):
    from trainlib import mix

    args.output.parent.mkdir(parents=True, exist_ok=True)
    made = mix.write(args.output, args.stories, args.megabytes and round(args.megabytes * 1e6), args.seed)
    print(f"{made.tales} tales ({made.tales_bytes:,} bytes) and {made.stories} stories ({made.stories_bytes:,} bytes, "
          f"{made.share:.1%}) in {args.output}")


def command_study(args):
    from trainlib import study

    plan, folder = study.load(args.config), args.work / args.config.stem

    def report(_=None):
        rows = study.report(plan, folder, args.llmtool, args.csv or folder / "study.csv", args.chart or folder / "study.svg")
        for row in rows:
            print("  ".join(f"{key} {row[key]}" for key in ("name", "least_arena_bytes", "bytes_seen", "tales_bits_per_byte", "finished")))

    study.prepare(plan, folder)
    if not args.report:
        study.run(plan, folder, args.jobs, args.threads, report)
    report()


def command_evaluate(args):
    from trainlib import data, evaluate

    model, config, step = load_model(args)
    folder = args.work / "data"
    tokens, meta = data.read(folder / "valid.bin"), json.loads((folder / "meta.json").read_text())
    if config.train.answers:
        right, count = evaluate.right_answers(model, data.Questions(tokens, 1, 0, meta["answer_start"]).conversations)
        print(f"step {step}: {right} of {count} held-out answers are right, {right / count:.2%}")
        return
    nats, count = evaluate.nll(model, tokens, config.model.context, config.model.context // 2, bf16=False)
    print(f"step {step}: {evaluate.bits_per_byte(nats, meta['valid_bytes']):.4f} bits per byte, "
          f"{nats / count:.4f} nats per token over {count} tokens and {meta['valid_bytes']} bytes")


def command_average(args):
    from trainlib import loop

    print(f"mean of {loop.average(run_folder(args))} snapshots in {run_folder(args) / 'averaged.pt'}")


def command_export(args):
    from trainlib import export

    if (args.blend_with is None) != (args.blend == 0.0) or not 0.0 <= args.blend < 1.0:
        raise SystemExit(f"--blend {args.blend} --blend-with {args.blend_with}: both or neither, and a share above 0 and below 1")
    model, config, step = load_model(args)
    if args.blend:
        from trainlib.loop import blend

        blend(model, args.blend_with, args.blend)
    export.write(model, load_tokenizer(args), args.output, args.description or f"step {step}")
    print(f"{model.parameter_count():,} parameters (step {step}) in {args.output}")


def command_sample(args):
    from trainlib.sample import sample

    model, _, _ = load_model(args)
    processor = load_tokenizer(args)
    for prompt in args.prompt:
        print(sample(model, processor, prompt, args.max_tokens, args.temperature, args.top_k, args.seed), end="\n\n---\n")


def command_plot(args):
    from trainlib import plot

    meta = json.loads((args.work / "data" / "meta.json").read_text())
    plot.draw(run_folder(args) / "log.jsonl", meta, args.output or run_folder(args) / "loss.svg")


def command_model(args):
    from trainlib import config, pipeline

    pipeline.Pipeline(
        config.load(args.config), args.config.resolve(), args.work.resolve() / args.config.stem, args.llmtool.resolve(),
        (args.key or args.work / "models.key.pem").resolve(), args.output.resolve(), args.processes, args.max_minutes,
    ).make()


def named_file(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name.isidentifier() and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE")
    return name, Path(path)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=HERE / "work", help="folder for all that is made (default: work/ here)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, function, text):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        return sub

    def text_option(sub):
        sub.add_argument("--text", type=Path, action="append", metavar="FILE",
                         help="training text, may be repeated (default: corpus/train.txt and train-extra.txt of the "
                         "folder SEL4_LLM_SHARED, or of ../shared beside the repository)")

    def conversations_option(sub):
        sub.add_argument("--conversations", action="store_true", help="the documents are conversations (`python -m events`)")

    def run_option(sub, averaged=False):
        sub.add_argument("config", type=Path, help="TOML file of the model")
        sub.add_argument("--run", type=Path, help="the run's folder (default: runs/NAME-OF-CONFIG in the work folder)")
        if averaged:
            sub.add_argument("--averaged", action="store_true", help="of the mean of the snapshots, which `average` makes")

    sub = command("tokenizer", command_tokenizer, "train the vocabulary")
    text_option(sub)
    conversations_option(sub)
    sub.add_argument("--vocab", type=int, default=2048, help="pieces, special ones and bytes included (default %(default)s)")

    sub = command("prepare", command_prepare, "write the text as token files")
    text_option(sub)
    sub.add_argument("--valid", type=Path, metavar="FILE", help="held-out text (default: corpus/valid.txt there)")
    sub.add_argument("--drop-titles", type=float, default=0.5, metavar="SHARE",
                     help="share of the training documents that begin without their title (default %(default)s)")
    sub.add_argument("--seed", type=int, default=1, help="chooses those documents (default %(default)s)")
    sub.add_argument("--also-valid", type=named_file, action="append", default=[], metavar="NAME=FILE",
                     help="a further held-out text, measured beside the first; may be repeated (stories=stories-valid.txt)")

    conversations_option(sub)

    sub = command("train", command_train, "train, or go on with a run that was stopped")
    run_option(sub)
    sub.add_argument("--fresh", action="store_true", help="start anew even if there is a checkpoint")
    sub.add_argument("--init", type=Path, metavar="CHECKPOINT", help="begin with the weights of another run, not at random")
    sub.add_argument("--max-minutes", type=float, help="limit on the run's training time: what lies ahead in the schedule is "
                     "shortened to fit, so that the run still ends with its rate at zero (default: none)")
    sub.add_argument("--knots", type=Path, metavar="JSON", help="file with the schedule as [[step, multiplier], …], "
                     "to repeat a run that was shortened (configs/*.knots.json are those of the shipped models)")
    sub.add_argument("--stop-at", type=int, metavar="STEP", help="stop early and leave a checkpoint")
    sub.add_argument("--checkpoint-minutes", type=float, default=5.0, help="time between checkpoints (default %(default)s)")
    sub.add_argument("--export-to", type=Path, metavar="GGUF", help="also write each checkpoint as GGUF")
    sub.add_argument("--threads", type=int, help="threads of PyTorch (default: its own choice)")
    sub.add_argument("--processes", type=int, default=1, metavar="N",
                     help="processes of one thread each that share every step: faster than threads (default %(default)s)")

    sub = command("mix", command_mix, "write a training text: tales of the corpus, and stories of the generator")
    sub.add_argument("--stories", type=float, default=0.25, metavar="SHARE", help="share of the bytes (default %(default)s)")
    sub.add_argument("--megabytes", type=float, metavar="MB", help="size of the text (default: all tales, and stories to match)")
    sub.add_argument("--seed", type=int, default=1, help="chooses and orders the documents (default %(default)s)")
    sub.add_argument("-o", "--output", type=Path, default=HERE / "work" / "mix.txt", metavar="FILE")

    sub = command("study", command_study, "train several shapes on the same text, and chart bits per byte against arena bytes")
    sub.add_argument("config", type=Path, help="TOML file of the study")
    sub.add_argument("--llmtool", type=Path, required=True, help="the built llmtool, which says what arena a shape needs")
    sub.add_argument("--jobs", type=int, default=2, help="runs at a time (default %(default)s)")
    sub.add_argument("--threads", type=int, default=1, help="threads of each run (default %(default)s)")
    sub.add_argument("--report", action="store_true", help="write table and chart of what has been run, and run nothing")
    sub.add_argument("--csv", type=Path, help="the table (default: study.csv in the study's folder)")
    sub.add_argument("--chart", type=Path, metavar="SVG", help="the chart (default: study.svg there)")

    sub = command("model", command_model, "make a model: text, vocabulary, training, GGUF, quantising, signature")
    sub.add_argument("config", type=Path, help="TOML file of the model; NAME.knots.json beside it is the schedule")
    sub.add_argument("--llmtool", type=Path, required=True, help="the built llmtool")
    sub.add_argument("--key", type=Path, metavar="NAME.key.pem",
                     help="secret key to sign with, made if it is not there (default: models.key.pem in the work folder)")
    sub.add_argument("--processes", type=int, default=2, metavar="N", help="as for `train` (default %(default)s)")
    sub.add_argument("--max-minutes", type=float, help="as for `train`, for each run, in place of the schedules beside the configs")
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="GGUF")

    sub = command("evaluate", command_evaluate, "held-out bits per byte of a checkpoint, or right answers, in F32")
    run_option(sub, averaged=True)

    sub = command("average", command_average, "take the mean of a run's latest snapshots")
    run_option(sub)

    sub = command("export", command_export, "write a checkpoint as GGUF (F32)")
    run_option(sub, averaged=True)
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="GGUF")
    sub.add_argument("--blend", type=float, default=0.0, metavar="SHARE", help="of the way towards the weights of --blend-with")
    sub.add_argument("--blend-with", type=Path, metavar="CHECKPOINT")
    sub.add_argument("--description", help="general.description of the file (default: the step)")

    sub = command("sample", command_sample, "print text from a checkpoint")
    run_option(sub, averaged=True)
    sub.add_argument("prompt", nargs="+")
    sub.add_argument("--max-tokens", type=int, default=120)
    sub.add_argument("--temperature", type=float, default=0.8)
    sub.add_argument("--top-k", type=int, default=40)
    sub.add_argument("--seed", type=int, default=1)

    sub = command("plot", command_plot, "draw the loss curves of a run")
    run_option(sub)
    sub.add_argument("-o", "--output", type=Path, metavar="SVG")
    return parser


def main():
    args = arguments().parse_args()
    try:
        args.function(args)
    except FileNotFoundError as error:
        raise SystemExit(f"{error.filename} is not there: the order is `tokenizer`, `prepare`, `train`; "
                         "see `--text` of the first two for where the corpus is looked for") from error
    except ConfigError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
