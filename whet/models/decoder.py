"""Log-probabilities and rewards of flat batches, by the model's own forward in the fastest way that is right for it.

flat    the flat tokens as one row, attention by segments (`models.attention`): a prompt once for all its completions
padded  the model's own attention over padded rows of like length, one per completion
rows    one completion at a time, and the model's own logits: what every other way is compared with

Which way a model goes is found out when it is loaded: log-probabilities and gradients of a group of several completions
are compared with the model's own forward (`models.verify`). `kind` and `reason` say the outcome.

Legend: A asked-for position, W wanted position, C channel, V vocabulary, B completion, T completion token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from whet.models.attention import attending
from whet.models.head_logprobs import LogitRule, head_logprobs, logit_rule, logits_logprobs
from whet.models.products import use_chosen_products
from whet.models.segments import plan_attention
from whet.models.verify import Probe
from whet.tokens.batches import FlatBatch, Row

__all__ = ["Decoder", "TokenScores", "Way"]

Way = Literal["flat", "padded", "rows"]
WAYS: tuple[Way, ...] = ("flat", "padded", "rows")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScores:
    """One number per completion token, zero where `mask_BT` is False.

    `logprobs_BT` is differentiable; `entropy_BT` (nats, of the whole distribution at that temperature) is not.
    """

    logprobs_BT: Tensor
    entropy_BT: Tensor
    mask_BT: Tensor


class Decoder:
    """What the trainer and the scorers ask of a model, causal or sequence-classifying.

    `trains` False spares the comparison of gradients, for models that are only asked.
    """

    def __init__(self, model: Any, *, trains: bool = True) -> None:
        self.model = model
        self.base: Any = self.model.base_model
        config: Any = self.model.config.get_text_config()
        self.rule: LogitRule = logit_rule(config)
        self.layers = int(getattr(config, "num_hidden_layers", 1))
        self.kind: Way = "rows"
        self.reason: str | None = None
        self._choose_way(trains)

    @property
    def device(self) -> torch.device:
        found: torch.device = next(self.model.parameters()).device
        return found

    @property
    def is_judge(self) -> bool:
        """Whether the model gives one scalar per sequence instead of logits."""
        return self.model.get_output_embeddings() is None and hasattr(self.model, "score")

    @property
    def told(self) -> str:
        """One line for the terminal: which way the model goes, and why it is not the flat one."""
        name = type(self.model).__name__
        return f"{name}, {self.kind} forward" if self.reason is None else f"{name}, {self.kind} forward ({self.reason})"

    @property
    def record(self) -> dict[str, str | None]:
        """The same for a stage's `complete.json`."""
        return {"kind": self.kind, "reason": self.reason}

    @property
    def repeats_prompts(self) -> bool:
        """Whether a prompt is computed once for each of its completions; `micro_batches` counts its tokens so."""
        return self.kind != "flat"

    def logprobs(self, batch: FlatBatch, *, temperature: float = 1.0) -> TokenScores:
        """log p(token) of every asked-for completion token at this temperature, float32."""
        if self.kind == "rows":
            logits_AV = self._by_rows(batch, _asked(batch), lambda **inputs: self.model(**inputs).logits)
            logprob_A, entropy_A = logits_logprobs(logits_AV, batch.targets_A, temperature=temperature)
        else:
            hidden_AC = self.hidden(batch, batch.asked_A, _asked(batch))
            head = self.model.get_output_embeddings()
            logprob_A, entropy_A = head_logprobs(
                hidden_AC, head, batch.targets_A, temperature=temperature, rule=self.rule
            )
        return TokenScores(
            logprobs_BT=batch.lay_out(logprob_A), entropy_BT=batch.lay_out(entropy_A), mask_BT=batch.mask_BT
        )

    def rewards(self, batch: FlatBatch) -> Tensor:
        """(B,) scalar of a one-label classifier, read at each completion's last token, float32."""
        last = [(b, row.prompt_length + row.length - 1) for b, row in enumerate(batch.rows)]
        score: Tensor = self.model.score(self.hidden(batch, batch.last_B, last))
        return score[:, 0].float()

    def hidden(self, batch: FlatBatch, wanted_W: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
        """(W, C) after the final norm at the flat places `wanted_W`, which in `places` are (completion, place in row).

        A prompt's last token is wanted by each of its completions, and each adds to its gradient.
        """
        if self.kind == "flat":
            plan = plan_attention(batch.segments, layers=self.layers, device=self.device)
            with attending(self.model, plan):
                output = self.base(
                    input_ids=batch.tokens_N[None], position_ids=batch.positions_N[None], use_cache=False
                )
            return F.embedding(wanted_W, output.last_hidden_state[0])
        return self._by_rows(batch, places, lambda **inputs: self.base(**inputs).last_hidden_state)

    def _by_rows(self, batch: FlatBatch, places: Sequence[tuple[int, int]], forward: Any) -> Tensor:
        """`forward`'s output at the wanted places, from rows that hold a prompt and one completion each."""
        found: list[Tensor] = []
        order: list[int] = []
        for rows in self._cut(batch):
            chosen = [at for at, (b, _) in enumerate(places) if b in rows]
            if not chosen:
                continue
            output_BKX = forward(**self._inputs(batch, [batch.rows[b] for b in rows]), use_cache=False)
            row_of = {b: r for r, b in enumerate(rows)}
            r, k = zip(*((row_of[places[at][0]], places[at][1]) for at in chosen), strict=True)
            found.append(output_BKX[torch.tensor(r), torch.tensor(k)])
            order += chosen
        back = torch.tensor(order, device=self.device).argsort()
        return torch.cat(found)[back]

    def _cut(self, batch: FlatBatch) -> list[list[int]]:
        """Completions that are computed together: of like length, and together no more tokens than the flat batch."""
        if self.kind == "rows":
            return [[b] for b in range(len(batch.rows))]
        length = [row.prompt_length + row.length for row in batch.rows]
        pieces: list[list[int]] = []
        for b in sorted(range(len(length)), key=lambda b: -length[b]):
            longest = length[pieces[-1][0]] if pieces else 0
            fits = pieces and (len(pieces[-1]) + 1) * longest <= len(batch.tokens_N)
            if not fits or length[b] < 0.8 * longest:
                pieces.append([])
            pieces[-1].append(b)
        return pieces

    def _inputs(self, batch: FlatBatch, rows: Sequence[Row]) -> dict[str, Tensor]:
        """Rows of prompt and completion, padded on the right; without a mask when nothing is padded."""
        ids = [_row_tokens(batch, row) for row in rows]
        longest = max(map(len, ids))
        input_ids = torch.stack([F.pad(one, (0, longest - len(one))) for one in ids])
        if min(map(len, ids)) == longest:
            return {"input_ids": input_ids}
        length_B = torch.tensor([len(one) for one in ids], device=input_ids.device)
        mask = torch.arange(longest, device=input_ids.device) < length_B[:, None]
        return {"input_ids": input_ids, "attention_mask": mask.long()}

    def _choose_way(self, trains: bool) -> None:
        """The first way whose numbers are the model's own; `rows` needs no comparison."""
        probe, reasons = Probe(self, trains=trains), []
        use_chosen_products(self.model)
        for way in WAYS:
            self.kind = way
            fault = probe.fault()
            if fault is None:
                break
            reasons.append(f"{way}: {fault}")
        self.reason = "; ".join(reasons) or None


def _asked(batch: FlatBatch) -> list[tuple[int, int]]:
    """(completion, place in its row) of each asked-for position: that of the token's predecessor."""
    width = batch.size[1]
    places = (divmod(place, width) for place in batch.place_A.tolist())
    return [(b, batch.rows[b].prompt_length + t - 1) for b, t in places]


def _row_tokens(batch: FlatBatch, row: Row) -> Tensor:
    prompt = batch.tokens_N[row.prompt_at : row.prompt_at + row.prompt_length]
    return torch.cat([prompt, batch.tokens_N[row.at : row.at + row.length]])
