"""The web page of a model, in gradio: a recording is uploaded, and its curves are shown beside the video."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import gradio as gr

from ...config import Times
from ...datasets.formats.signal_text import UNITS
from ...datasets.single_recording import SIGNAL_SUFFIXES
from ...datasets.synthetic.single_recording import SIGNALS, VIDEO, write_single_recording
from ...errors import BadConfig
from ...io.templates import render
from ...provenance import SYNTHETIC
from ..plot_theme import SCRIPT
from ..prediction import RecordingPrediction
from ..predictor import Predictor
from ..timeline import explanations, flagged_texts, interactive_figure
from .disk_quota import DiskQuota
from .session import (
    COMPANION_SUFFIXES,
    EXAMPLE,
    LIMITS,
    MAX_AGE_S,
    STOPPED,
    VIDEO_SUFFIXES,
    PredictionRequest,
    SessionResult,
    Visitors,
    process_request,
)

MAX_CONCURRENT = 2  # recordings; further visitors wait and see their position
PRIVACY = (
    "Files are sent to the computer that serves this page and to no other. They are stored there in a temporary folder "
    f"until you press Delete my files, close the page, or {MAX_AGE_S // 60} minutes have passed, or the server stops."
)
# The options and their initial values, in the order in which the page passes them.
OPTIONS: dict[str, Any] = {"names": "", "step": 0, "start": 0, "stop": 0, "offset": 0, "rate": 0, "unit": "uV"}
# The files of a result, in its order: the button's name and text.
DOWNLOADS = {"csv": "table (CSV)", "html": "curves (HTML)", "json": "details (JSON)"}
# gradio needs a rule of its own for each `.dark` selector.
CSS = Path(__file__).with_name("page.css").read_text()
# A line over the curves at the video's time; a click into the curves moves the video there. The curves take the page's
# colours, light or dark, whenever they are drawn or the page changes.
CURSOR = (
    """
() => {
  const plot = () => document.querySelector('#curves .js-plotly-plot');
  const videoStart = () => Number(document.querySelector('#result [data-video-start]')?.dataset.videoStart || 0);
  const applyTheme = () => {
    const figure = plot();
    if (figure && window.Plotly) plotTheme(figure, document.body.classList.contains('dark'));
  };
  new MutationObserver(applyTheme).observe(document.body, {attributes: true, attributeFilter: ['class'],
    childList: true, subtree: true});
  document.addEventListener('timeupdate', (event) => {
    const figure = plot(), axis = figure?._fullLayout?.xaxis;
    if (!axis || !event.target.closest?.('#player')) return;
    let line = figure.querySelector('.cursor');
    if (!line) {
      line = document.createElement('div');
      line.className = 'cursor';
      figure.style.position = 'relative';
      figure.appendChild(line);
      figure.on('plotly_click', (clicked) => {
        const video = document.querySelector('#player video');
        if (video) video.currentTime = clicked.points[0].x + videoStart();
      });
    }
    const size = figure._fullLayout._size, at = axis.l2p(event.target.currentTime - videoStart());
    line.style.display = at < 0 || at > size.w ? 'none' : 'block';
    line.style.left = size.l + at + 'px'; line.style.top = size.t + 'px'; line.style.height = size.h + 'px';
  }, true);
  PLOT_THEME
}
"""
).replace("PLOT_THEME", SCRIPT)


def page(predictor: Predictor, visitors: Visitors, quota: DiskQuota, max_mb: int) -> gr.Blocks:
    """Return the page of a model, not yet served. `max_mb` is the upload limit that it states."""
    handlers = _Handlers(predictor, visitors, quota)
    with gr.Blocks(title="gbvnet", analytics_enabled=False, delete_cache=(60, MAX_AGE_S)) as blocks:
        gr.HTML(_header(predictor))
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                inputs = _inputs(predictor)
            with gr.Column(scale=2, min_width=300):
                result = gr.HTML(_no_result("", predictor.accuracy_note), elem_id="result", min_height=60)
        outputs = [result, *_result_parts()]
        gr.HTML(f'<p class="note">{PRIVACY} A file can have {max_mb} MB.</p>')
        delete = gr.Button("Delete my files", elem_id="delete", size="md")
        _connect(blocks, handlers, inputs, outputs, delete)
    return blocks


@dataclass
class _Handlers:
    """What the page does on the events of a visitor."""

    predictor: Predictor
    visitors: Visitors
    quota: DiskQuota
    example_lock: Lock = field(default_factory=Lock)

    @property
    def _example(self) -> Path:
        return self.visitors.root / EXAMPLE

    def claim(self, files: Any, request: gr.Request) -> None:
        """Note that the visitor uses these uploads."""
        self.visitors.claim(_visitor(request), [f for f in _paths(files) if self._example not in f.parents])
        self.quota.remove_orphans()

    def show_example(self) -> tuple[str | None, list[str]]:
        """Return the video and the signal file of the synthetic example, as far as the model uses them."""
        with self.example_lock:  # making them takes some seconds, once
            wanted = self.predictor.channels if self.predictor.uses_signals else ()
            video, signals = self._example / VIDEO, self._example / SIGNALS
            if not (video.exists() and signals.exists()):
                write_single_recording(self._example, wanted)
        return str(video) if self.predictor.uses_face else None, [str(signals)] if self.predictor.uses_signals else []

    def predict(
        self,
        request: gr.Request,
        progress: Any = gr.Progress(),  # noqa: B008
        *values: Any,
    ) -> list[Any]:
        """Predict the uploaded recording. values : of the video, the signals and OPTIONS. Returns the page's parts."""
        video, signals, *options = values
        files, visitor = [*_paths(video), *_paths(signals)], _visitor(request)
        self.claim(files, request)
        try:
            self.quota.require()
        except BadConfig as error:
            return shown(SessionResult(error=str(error)), self.predictor.accuracy_note)
        folder = self.visitors.folder(visitor)
        inputs = _request(video, _paths(signals), dict(zip(OPTIONS, options, strict=True)))
        result = process_request(self.predictor, inputs, folder, lambda share, what: progress(share, desc=what))
        self.visitors.keep_last(visitor, folder)
        synthetic = bool(files) and any(self._example in f.parents for f in files)
        return shown(result, self.predictor.accuracy_note, synthetic)

    def delete(self, request: gr.Request) -> list[Any]:
        """Delete all files of the visitor. Returns the values of an empty page."""
        self.leave(request)
        self.quota.remove_orphans()
        empty = shown(SessionResult(), self.predictor.accuracy_note)[:-2]
        return [None, None, *OPTIONS.values(), *empty, gr.update(open=False)]

    def leave(self, request: gr.Request) -> None:
        """Delete all files of a visitor who closed the page."""
        self.visitors.leave(_visitor(request))


def _request(video: str | None, signals: list[Path], options: dict[str, Any]) -> PredictionRequest:
    times = Times(
        options["start"] or 0.0, options["stop"] or None, None, options["offset"] or 0.0, options["rate"] or None,
        options["unit"],
    )  # fmt: skip
    return PredictionRequest(Path(video) if video else None, signals, options["names"], options["step"] or None, times)


@dataclass(frozen=True)
class _Inputs:
    """The components that a visitor fills in or presses."""

    video: gr.File
    signals: gr.File
    options: list[Any]  # in the order of OPTIONS
    accordion: gr.Accordion  # with the options
    example: gr.Button
    predict: gr.Button

    @property
    def values(self) -> list[Any]:
        """The components whose values are passed to `_Handlers.predict`."""
        return [self.video, self.signals, *self.options]


def _inputs(predictor: Predictor) -> _Inputs:
    video, signals = _upload_boxes(predictor)
    with gr.Row():
        example = gr.Button("Try an example", elem_id="example", size="md", min_width=130)
        predict = gr.Button("Predict", variant="primary", elem_id="predict", size="md", min_width=130)
    with gr.Accordion("Names of channels, and times", open=False, elem_id="options") as accordion:
        options = _option_boxes(predictor)
    return _Inputs(video, signals, options, accordion, example, predict)


def _result_parts() -> list[Any]:
    """Return the hidden parts below the result text: player's column, player, curves, flagged windows, downloads."""
    with gr.Row():
        with gr.Column(scale=1, min_width=300, visible=False) as player_column:
            player = gr.Video(show_label=False, visible=False, height=330, interactive=False, buttons=[],
                              elem_id="player")  # fmt: skip
        with gr.Column(scale=2, min_width=300):
            plot = gr.Plot(show_label=False, visible=False, elem_id="curves")
    flagged = gr.HTML(elem_id="flagged")
    with gr.Row():
        downloads = [gr.DownloadButton(f"Download the {text}", visible=False, elem_id=name, min_width=200)
                     for name, text in DOWNLOADS.items()]  # fmt: skip
    return [player_column, player, plot, flagged, *downloads]


def _connect(blocks: gr.Blocks, handlers: _Handlers, inputs: _Inputs, outputs: list[Any], delete: gr.Button) -> None:
    """Connect the components to what they do."""
    result = outputs[0]
    after_prediction = [*outputs, inputs.options[0], inputs.accordion]
    private: dict[str, Any] = {"api_visibility": "private"}
    predicting = private | {
        "concurrency_limit": MAX_CONCURRENT, "concurrency_id": "predict", "show_progress_on": result,
    }  # fmt: skip
    for box in (inputs.video, inputs.signals):
        box.upload(handlers.claim, box, None, queue=False, **private)
    inputs.predict.click(handlers.predict, inputs.values, after_prediction, **predicting)
    inputs.example.click(
        handlers.show_example, None, [inputs.video, inputs.signals], show_progress_on=result, **private
    ).then(handlers.predict, inputs.values, after_prediction, **predicting)
    delete.click(handlers.delete, None, [*inputs.values, *outputs, inputs.accordion], **private)
    blocks.unload(handlers.leave)


def _upload_boxes(predictor: Predictor) -> tuple[gr.File, gr.File]:
    """Return the boxes for the video and the signals, each with the types of files that it accepts in words."""
    face, bio = predictor.uses_face, predictor.uses_signals
    signal_types = [*SIGNAL_SUFFIXES, *COMPANION_SUFFIXES]
    video = gr.File(label="Face video", file_types=list(VIDEO_SUFFIXES), height=130, visible=face, elem_id="video")
    gr.HTML(f'<p class="types">{" ".join(VIDEO_SUFFIXES)}</p>', visible=face, padding=False)
    signals = gr.File(label="Signals", file_count="multiple", file_types=signal_types, height=130, visible=bio,
                      elem_id="signals")  # fmt: skip
    companions = f"with a .vhdr, .ahdr or .set file its {' '.join(COMPANION_SUFFIXES)}"
    gr.HTML(f'<p class="types">{" ".join(SIGNAL_SUFFIXES)}; {companions}</p>', visible=bio, padding=False)
    return video, signals


def _option_boxes(predictor: Predictor) -> list[Any]:
    """Return the options, in the order of OPTIONS."""
    initial = OPTIONS
    names = gr.Textbox(label="Names of channels", lines=3, max_lines=10, elem_id="names",
                       info="MODELNAME=FILENAME, one per line, if a channel has another name in the file",
                       visible=predictor.uses_signals)  # fmt: skip
    with gr.Row():
        start = gr.Number(label="Start, s", value=initial["start"], min_width=120, elem_id="start")
        stop = gr.Number(label="End, s (0: the end)", value=initial["stop"], min_width=120, elem_id="stop")
    step = gr.Number(label="Step between windows, s (0: the window length)", value=initial["step"], elem_id="step")
    with gr.Group(visible=predictor.uses_signals):
        offset = gr.Number(label="Video's clock minus signals' clock, s", value=initial["offset"], elem_id="offset")
        rate = gr.Number(label="Rate of a CSV, Hz (0: by its column time)", value=initial["rate"], elem_id="rate")
        unit = gr.Dropdown(list(UNITS), value=initial["unit"], label="Unit of a CSV's EEG", elem_id="unit")
    return [names, step, start, stop, offset, rate, unit]


def shown(result: SessionResult, accuracy_note: str, synthetic: bool = False) -> list[Any]:
    """Return a result as values of the page's parts.

    accuracy_note : what is known of the model's accuracy        synthetic : the recording is the example
    """
    prediction = result.prediction
    if prediction is None:
        hidden = gr.update(visible=False, value=None)
        accordion = gr.update(open=True) if result.channel_names is not None else gr.update()
        names = result.channel_names if result.channel_names is not None else gr.update()
        text = _no_result(result.error, accuracy_note)
        return [text, gr.update(visible=False), hidden, hidden, "", *[hidden] * 3, names, accordion]
    text = render(
        "gbvnet.inference.app",
        "result.html",
        synthetic=SYNTHETIC if synthetic else "",
        video_start=f"{result.video_start_s:g}",
        summary=_summary(prediction, result.video is not None),
        accuracy_note=accuracy_note,
        notes=[*(note for note in explanations(prediction) if note != accuracy_note), *prediction.warnings],
    )
    flagged = flagged_texts(prediction.table)
    player = gr.update(visible=result.video is not None, value=result.video and str(result.video))
    return [
        text,
        gr.update(visible=result.video is not None),
        player,
        gr.update(visible=True, value=interactive_figure(prediction)),
        render("gbvnet.inference.app", "flagged.html", flagged=flagged),
        *(gr.update(visible=True, value=str(file)) for file in result.files),
        gr.update(),
        gr.update(),
    ]


def _no_result(error: str, accuracy_note: str) -> str:
    """Return the text in place of a result: an error, or what to do."""
    shown_error = "" if error == STOPPED else error
    return render("gbvnet.inference.app", "no_result.html", error=shown_error, accuracy_note=accuracy_note)


def _summary(prediction: RecordingPrediction, has_video: bool) -> str:
    table = prediction.table
    outputs = prediction.outputs
    means = ", ".join(f"{table[name].mean():.2f}" for name in outputs.names)
    mean = f" (mean probability {means})" if outputs.task == "binary" else ""
    player = " While the video plays, a line moves over the curves; a click into the curves moves the video."
    text = f"{prediction.name}, from {prediction.modalities}: {len(table)} windows, {outputs.summary(table)}{mean}."
    return text + (player if has_video else "")


def _header(predictor: Predictor) -> str:
    modalities = {"facebio": "face and signals", "face": "the face", "bio": "signals"}
    return render(
        "gbvnet.inference.app",
        "header.html",
        model=predictor.folder.name,
        targets=predictor.outputs.target,
        modalities=modalities.get(predictor.network.config.modality, ""),
        window=f"{predictor.prepare.window_s:g}",
        stamps=predictor.stamps,
        limits=LIMITS,
    )


def _visitor(request: gr.Request) -> str:
    return str(request.session_hash)


def _paths(files: str | Sequence[str] | None) -> list[Path]:
    return [] if not files else [Path(files)] if isinstance(files, str) else [Path(f) for f in files]
