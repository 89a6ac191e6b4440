"""The web page of a model, in gradio: a recording is uploaded, the model is asked, curves stand beside the video."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from threading import Lock
from typing import Any

import gradio as gr

from ...config import Times
from ...datasets.formats.signal_text import UNITS
from ...datasets.single_recording import SIGNAL_SUFFIXES
from ...datasets.synthetic.single_recording import SIGNALS, VIDEO, write_lone
from ...errors import BadConfig
from ...provenance import SYNTHETIC
from ..plot_theme import SCRIPT
from ..predict import stamps
from ..prediction import Emotions
from ..predictor import Predictor
from ..timeline import curves, spans, words
from .disk_quota import DiskQuota
from .session import BESIDE, EXAMPLE, KEPT_S, LIMITS, STOPPED, VIDEO_SUFFIXES, Answer, Asked, Visitors, answer

AT_ONCE = 2  # recordings; who comes later waits in line and sees their place
PRIVACY = (
    "Files go to the computer that serves this page and no further. They lie there in a temporary folder until you "
    f"press Delete my files, close the page, or {KEPT_S // 60} minutes have passed, or the server stops."
)
# The options and their values at first, in the order in which `ask` takes them.
BOXES: dict[str, Any] = {"names": "", "step": 0, "start": 0, "stop": 0, "offset": 0, "rate": 0, "unit": "uV"}
# The files of an answer, in its order: the button's name and what it says.
DOWNLOADS = {"csv": "table (CSV)", "html": "curves (HTML)", "json": "details (JSON)"}
# gradio wants a rule of its own for each `.dark` selector.
CSS = """
.gradio-container { max-width: 75rem !important; margin: 0 auto !important }
.stamp, .problem { border-left: 4px solid #B3261E; background: #FCEEED; color: #7A1712; padding: .5rem .8rem;
  border-radius: 4px; margin: .2rem 0; overflow-wrap: anywhere }
.stamp { font-weight: 600 }
.limits, .note, .types { color: #55606B; font-size: .9rem; line-height: 1.45; margin: .2rem 0 }
.types { font-size: .8rem; margin: -.6rem .2rem 0 }
#said .pending { opacity: 0 !important }
#curves .modebar-btn--logo { display: none }
.said { font-size: 1.02rem; margin: .3rem 0; overflow-wrap: anywhere }
.now { position: absolute; width: 2px; background: #1D2329; opacity: .6; pointer-events: none }
.dark .limits { color: #AAB4BE }
.dark .note { color: #AAB4BE }
.dark .types { color: #AAB4BE }
.dark .stamp { background: #3B1D1B; color: #F6C9C4 }
.dark .problem { background: #3B1D1B; color: #F6C9C4 }
.dark .now { background: #F0F3F6 }
"""
# A line over the curves where the video is; on a click into the curves the video goes there. The curves take the page's
# colours, light or dark, whenever they are drawn or the page changes.
CURSOR = (
    """
() => {
  const plot = () => document.querySelector('#curves .js-plotly-plot');
  const zero = () => Number(document.querySelector('#said [data-zero]')?.dataset.zero || 0);
  const themed = () => {
    const made = plot();
    if (made && window.Plotly) plotTheme(made, document.body.classList.contains('dark'));
  };
  new MutationObserver(themed).observe(document.body, {attributes: true, attributeFilter: ['class'], childList: true,
    subtree: true});
  document.addEventListener('timeupdate', (event) => {
    const made = plot(), axis = made?._fullLayout?.xaxis;
    if (!axis || !event.target.closest?.('#film')) return;
    let line = made.querySelector('.now');
    if (!line) {
      line = document.createElement('div');
      line.className = 'now';
      made.style.position = 'relative';
      made.appendChild(line);
      made.on('plotly_click', (clicked) => {
        const video = document.querySelector('#film video');
        if (video) video.currentTime = clicked.points[0].x + zero();
      });
    }
    const size = made._fullLayout._size, at = axis.l2p(event.target.currentTime - zero());
    line.style.display = at < 0 || at > size.w ? 'none' : 'block';
    line.style.left = size.l + at + 'px'; line.style.top = size.t + 'px'; line.style.height = size.h + 'px';
  }, true);
  PLOT_THEME
}
"""
).replace("PLOT_THEME", SCRIPT)


def page(predictor: Predictor, visitors: Visitors, quota: DiskQuota, max_mb: int) -> gr.Blocks:
    """The page for one model, not yet served; `max_mb` is told there and kept by the server."""
    example, making = visitors.root / EXAMPLE, Lock()

    def claim(files: Any, request: gr.Request) -> None:
        visitors.claim(_who(request), [f for f in _paths(files) if example not in f.parents])
        quota.sweep()

    def show_example() -> tuple[str | None, list[str]]:
        with making:  # some seconds, once
            wanted = predictor.channels if predictor.sees_signals else ()
            made = [example / name for name in (VIDEO, SIGNALS)]
            if not all(f.exists() for f in made):
                write_lone(example, wanted)
        return str(made[0]) if predictor.sees_face else None, [str(made[1])] if predictor.sees_signals else []

    def ask(
        video: str | None, signals: list[str] | None, names: str, step_s: float | None, start_s: float | None,
        stop_s: float | None, offset_s: float | None, rate_hz: float | None, unit: str, request: gr.Request,
        progress: Any = gr.Progress(),  # noqa: B008
    ) -> list[Any]:  # fmt: skip
        files = [*_paths(video), *_paths(signals)]
        visitors.claim(_who(request), [f for f in files if example not in f.parents])
        quota.sweep()
        try:
            quota.require()
        except BadConfig as error:
            return shown(Answer(problem=str(error)), predictor.worth)
        times = Times(start_s or 0.0, stop_s or None, None, offset_s or 0.0, rate_hz or None, unit)
        asked = Asked(Path(video) if video else None, _paths(signals), names, step_s or None, times)
        folder = visitors.folder(_who(request))
        found = answer(predictor, asked, folder, lambda share, what: progress(share, desc=what))
        visitors.keep_last(_who(request), folder)
        return shown(found, predictor.worth, synthetic=bool(files) and any(example in f.parents for f in files))

    def forget(request: gr.Request) -> list[Any]:
        visitors.leave(_who(request))
        quota.sweep()
        return [None, None, *BOXES.values(), *shown(Answer(), predictor.worth)[:-2], gr.update(open=False)]

    def leave(request: gr.Request) -> None:
        visitors.leave(_who(request))

    with gr.Blocks(title="gbvnet", analytics_enabled=False, delete_cache=(60, KEPT_S)) as blocks:
        gr.HTML(_top(predictor))
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                video, signals = _upload_boxes(predictor)
                with gr.Row():
                    try_it = gr.Button("Try an example", elem_id="try", size="md", min_width=130)
                    go = gr.Button("Ask the model", variant="primary", elem_id="go", size="md", min_width=130)
                with gr.Accordion("Names of channels, and times", open=False, elem_id="more") as more:
                    boxes = _boxes(predictor)
            with gr.Column(scale=2, min_width=300):
                said = gr.HTML(_told("", predictor.worth), elem_id="said", min_height=60)
        with gr.Row():
            with gr.Column(scale=1, min_width=300, visible=False) as beside:
                film = gr.Video(show_label=False, visible=False, height=330, interactive=False, buttons=[],
                                elem_id="film")  # fmt: skip
            with gr.Column(scale=2, min_width=300):
                plot = gr.Plot(show_label=False, visible=False, elem_id="curves")
        odd = gr.HTML(elem_id="odd")
        with gr.Row():
            downloads = [gr.DownloadButton(f"Download the {what}", visible=False, elem_id=name, min_width=200)
                         for name, what in DOWNLOADS.items()]  # fmt: skip
        gr.HTML(f'<p class="note">{PRIVACY} A file can have {max_mb} MB.</p>')
        gone = gr.Button("Delete my files", elem_id="forget", size="md")

        results = [said, beside, film, plot, odd, *downloads, boxes[0], more]
        asked = [video, signals, *boxes]
        hidden: dict[str, Any] = {"api_visibility": "private"}
        at_work = hidden | {"concurrency_limit": AT_ONCE, "concurrency_id": "ask", "show_progress_on": said}
        for box in (video, signals):
            box.upload(claim, box, None, queue=False, **hidden)
        go.click(ask, asked, results, **at_work)
        # Only what is asked for: the boxes' own settings belong to the visitor's files.
        try_it.click(show_example, None, [video, signals], show_progress_on=said, **hidden).then(
            ask, asked, results, **at_work
        )
        gone.click(forget, None, [video, signals, *boxes, *results[:-2], more], **hidden)
        blocks.unload(leave)
    return blocks


def _upload_boxes(predictor: Predictor) -> tuple[gr.File, gr.File]:
    """For the video and for signals, each with the types of files that it takes in words."""
    face, bio = predictor.sees_face, predictor.sees_signals
    signal_types = [*SIGNAL_SUFFIXES, *BESIDE]
    video = gr.File(label="Face video", file_types=list(VIDEO_SUFFIXES), height=130, visible=face, elem_id="video")
    gr.HTML(f'<p class="types">{" ".join(VIDEO_SUFFIXES)}</p>', visible=face, padding=False)
    signals = gr.File(label="Signals", file_count="multiple", file_types=signal_types, height=130, visible=bio,
                      elem_id="signals")  # fmt: skip
    gr.HTML(f'<p class="types">{" ".join(SIGNAL_SUFFIXES)}; with a .vhdr or .set file its {" ".join(BESIDE)}</p>',
            visible=bio, padding=False)  # fmt: skip
    return video, signals


def _boxes(predictor: Predictor) -> list[Any]:
    """The options, in the order of BOXES."""
    names = gr.Textbox(label="Names of channels", lines=3, max_lines=10, elem_id="names",
                       info="MODELNAME=FILENAME, one a line, where the file's name is another",
                       visible=predictor.sees_signals)  # fmt: skip
    with gr.Row():
        start = gr.Number(label="Start, s", value=BOXES["start"], min_width=120, elem_id="start")
        stop = gr.Number(label="End, s (0: the end)", value=BOXES["stop"], min_width=120, elem_id="stop")
    step = gr.Number(label="From window to window, s (0: a window's length)", value=BOXES["step"], elem_id="step")
    with gr.Group(visible=predictor.sees_signals):
        offset = gr.Number(label="Video's clock minus signals' clock, s", value=BOXES["offset"], elem_id="offset")
        rate = gr.Number(label="Rate of a CSV, Hz (0: by its column time)", value=BOXES["rate"], elem_id="rate")
        unit = gr.Dropdown(list(UNITS), value=BOXES["unit"], label="Unit of a CSV's EEG", elem_id="unit")
    return [names, step, start, stop, offset, rate, unit]


WELCOME = '<p class="note">Give a recording and press <b>Ask the model</b>. Curves appear below.</p>'


def shown(found: Answer, worth: str, synthetic: bool = False) -> list[Any]:
    """An answer as values of the page's parts; `worth` is what is known of how often the model is right."""
    emotions = found.emotions
    if emotions is None:
        hidden = gr.update(visible=False, value=None)
        more = gr.update(open=True) if found.names is not None else gr.update()
        names = found.names if found.names is not None else gr.update()
        return [_told(found.problem, worth), gr.update(visible=False), hidden, hidden, "", *[hidden] * 3, names, more]
    stamped = f'<p class="stamp">this recording is {SYNTHETIC}</p>' if synthetic else ""
    findings = "".join(f'<p class="note">{escape(finding)}</p>' for finding in emotions.findings)
    explained = [sentence for sentence in words(emotions) if sentence != worth]
    sentences = "".join(f'<p class="note">{escape(sentence)}</p>' for sentence in explained)
    said = (
        f'{stamped}<p class="said" data-zero="{found.video_start_s:g}">{escape(_said(found, emotions))}</p>'
        f'<p class="worth">{escape(worth)}</p>{sentences}{findings}'
    )
    downloads = [gr.update(visible=True, value=str(file)) for file in found.files]
    film = gr.update(visible=found.video is not None, value=found.video and str(found.video))
    plot = gr.update(visible=True, value=curves(emotions))
    beside = gr.update(visible=found.video is not None)
    return [said, beside, film, plot, _odd(emotions), *downloads, gr.update(), gr.update()]


def _told(problem: str, worth: str) -> str:
    """What stands where an answer would."""
    if problem in ("", STOPPED):
        return f'{WELCOME}<p class="worth">{escape(worth)}</p>'
    return f'<p class="problem" role="alert">{escape(problem)}</p>'


def _said(found: Answer, emotions: Emotions) -> str:
    table = emotions.table
    shares = ", ".join(
        f"{target} high in {(table[target] >= 0.5).mean():.0%} of them (mean probability {table[target].mean():.2f})"
        for target in emotions.targets
    )
    film = " Where the video plays, a line moves over the curves; a click into the curves moves the video."
    return f"{emotions.name}, from {emotions.seen}: {len(table)} windows, {shares}.{film if found.video else ''}"


def _odd(emotions: Emotions) -> str:
    lines = [f"<li>{a:g} to {b:g} s: {escape(said)}</li>" for a, b, said in spans(emotions.table)]
    few = f"<li>and {len(lines) - 12} more, in the table</li>" if len(lines) > 12 else ""
    return f'<div class="note"><b>Where something was odd</b><ul>{"".join(lines[:12])}{few}</ul></div>' if lines else ""


def _top(predictor: Predictor) -> str:
    sees = {"facebio": "face and signals", "face": "the face", "bio": "signals"}
    what = sees.get(predictor.network.config.modality, "")
    stamped = "".join(f'<p class="stamp">{escape(stamp)}</p>' for stamp in stamps(predictor))
    return (
        f"<h1>What a model says of a recording</h1><p>{escape(predictor.folder.name)}: "
        f"{escape(' and '.join(predictor.targets))} from {what}, for every {predictor.prepare.window_s:g} s.</p>"
        f'{stamped}<p class="limits">{LIMITS}</p>'
    )


def _who(request: gr.Request) -> str:
    return str(request.session_hash)


def _paths(files: str | Sequence[str] | None) -> list[Path]:
    return [] if not files else [Path(files)] if isinstance(files, str) else [Path(f) for f in files]
