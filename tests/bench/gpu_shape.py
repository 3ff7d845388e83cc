"""Shapes of decoders, as rows of the catalogue: the work model prices exactly what is run."""

from dataclasses import dataclass

from fanlight_schema.gpu import catalogue
from fanlight_schema.gpu.catalogue import Hardware, Model


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the work of a dense decoder."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int

    @property
    def parameters(self) -> int:
        """Weights of all matrices; embeddings and output head apart."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        of_layer = attention + 3 * self.hidden * self.intermediate
        return self.layers * of_layer + 2 * self.vocabulary * self.hidden

    @property
    def kv_bytes(self) -> int:
        """Bytes of cache a token, in 16 bits."""
        return 2 * self.layers * self.kv_heads * self.head_dim * 2


LLAMA_8B = Shape(32, 4096, 32, 8, 128, 14_336, 128_256)  # config.json of meta-llama/Llama-3.1-8B
TINY = Shape(2, 128, 4, 2, 32, 256, 512)


def stand_in() -> tuple[Model, Hardware]:
    """Makes TINY and a slow machine known to this process, to try the bench where there is no GPU.

    The machine's figures are of the order of one CPU core's and of no other use.
    """
    model = Model(
        name="tiny-decoder",
        pattern="^tiny-decoder$",
        parameters=TINY.parameters,
        active_parameters=TINY.parameters,
        layers=TINY.layers,
        full_attention_layers=TINY.layers,
        hidden=TINY.hidden,
        heads=TINY.heads,
        qk_head_dim=TINY.head_dim,
        v_head_dim=TINY.head_dim,
        kv_values_per_layer=2 * TINY.kv_heads * TINY.head_dim,
        experts=1,
        experts_per_token=1,
        precision="bf16",
        source="tests/bench/gpu_shape.py",
    )
    machine = Hardware("cpu stand-in", 5e10, None, None, 1e10, 1e10, 1e9, 10.0, "tests/bench/gpu_shape.py")
    catalogue.models()[model.name] = model
    catalogue.hardware()[machine.name] = machine
    return model, machine


def chip_name(device_name: str) -> str | None:
    """The catalogue's name of what CUDA calls a GPU, None if it has none of that form and memory.

    "NVIDIA H100 80GB HBM3" is an H100 SXM; an H100 PCIe or NVL is another GPU that the catalogue lacks.
    """
    words = device_name.replace("-", " ").upper().split()
    if {"PCIE", "NVL", "MIG"} & set(words):
        return None
    for name in catalogue.hardware():
        own = [word for word in name.upper().split() if word not in ("SXM",)]
        if own and all(word in words for word in own):
            return name
    return None
