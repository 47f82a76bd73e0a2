"""Compile the fused kernels for an H100 or H200, which takes no GPU; prints a line of JSON for each.

python tests/runtimes/compile_for_hopper.py
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from sewcli.runtimes import fused_attention_kernel as kernels
from sewcli.runtimes.fused_attention import BACKWARD, FORWARD

POINTERS = {"table": "*i32", "lengths": "*i32", "seed": "*i64", "normaliser": "*fp32", "delta": "*fp32"}
NUMBERS = ("batch", "heads", "frames", "step", "columns", "reach")
DROPOUT = round(0.1 * 2**32)


def compiled(kernel: Any, tile: dict[str, int], kind: str, constants: dict[str, Any]) -> dict[str, Any]:
    """What ptxas says of a kernel."""
    sizes = {name: size for name, size in tile.items() if name.startswith("BLOCK")}
    constants = {**constants, **sizes, "D": 64}
    signature = {name: "constexpr" if name in constants else kind_of(name, kind) for name in kernel.arg_names}
    aligned = {(n,): [["tt.divisibility", 16]] for n, name in enumerate(kernel.arg_names) if signature[name][0] == "*"}
    options = {name: size for name, size in tile.items() if name.startswith("num_")}
    source = ASTSource(kernel, signature, {(kernel.arg_names.index(k),): v for k, v in constants.items()}, aligned)
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    ptxas = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(made.asm["ptx"])
        file.flush()
        command = [str(ptxas), "-v", "--gpu-name=sm_90a", file.name, "-o", "/dev/null"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return {
        "kernel": kernel.__name__,
        "constants": constants,
        "registers": int(re.findall(r"Used (\d+) registers", said)[0]),
        "spilled_bytes": sum(map(int, re.findall(r"(\d+) bytes spill stores", said))),
        "shared_bytes": made.metadata.shared,
        "tensor_cores": "wgmma.mma_async" in made.asm["ptx"],
    }


def kind_of(name: str, kind: str) -> str:
    return POINTERS.get(name) or ("i32" if name in NUMBERS else "fp32" if name == "scale" else f"*{kind}")


def main() -> None:
    for kind in sys.argv[1:] or ["bf16"]:
        for threshold in (0, DROPOUT):
            by_bucket = {"BUCKETED": threshold == 0, "THRESHOLD": threshold}
            far = {"SATURATES": threshold == 0, "THRESHOLD": threshold}
            for kernel, tile, constants in (
                (kernels.forward_kernel, FORWARD, by_bucket),
                (kernels.query_gradient_kernel, BACKWARD, far),
                (kernels.key_gradient_kernel, BACKWARD, far),
            ):
                print(json.dumps(compiled(kernel, tile, kind, constants)), flush=True)


if __name__ == "__main__":
    main()
