# SPDX-License-Identifier: Apache-2.0
"""KServe's genuine InferenceRESTClient, unmodified, with both of its protocols: health, readiness, JSON and
binary tensors, instances, errors. The driver runs on plain Python; the client has an environment of its
own, made on first use, and the test is skipped where it cannot be made."""
import asyncio
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
VENVS = os.environ.get("QUERN_VENVS", os.path.join(HERE, "..", "..", "build", "venv"))


async def second_protocol(url):
    import httpx
    import numpy as np
    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
    from kserve.protocol.infer_type import RequestedOutput

    c = InferenceRESTClient(RESTConfig(protocol="v2", retries=1))
    assert await c.is_server_live(url) is True and await c.is_server_ready(url) is True
    assert await c.is_model_ready(url, "sums") is True and await c.is_model_ready(url, "nobody") is False
    a = np.array([[1.5, 2, 3], [4, 5, 1e-30]], dtype=np.float32)
    b = np.array([[0.1, 2, 3], [4, 5, 6]], dtype=np.float32)
    for binary in (True, False):
        for outputs in (None, True, False):
            ins = [InferInput(n, list(a.shape), "FP32") for n in "AB"]
            for i, v in zip(ins, (a, b)):
                i.set_data_from_numpy(v, binary_data=binary)
            wanted = None
            if outputs is not None:
                wanted = [RequestedOutput(n, parameters={"binary_data": outputs}) for n in "DS"]
            request = InferRequest("sums", ins, request_id="r-7", request_outputs=wanted, parameters={"user": "u1"})
            r = await c.infer(url, request, model_name="sums")
            assert r.id == "r-7" and r.model_name == "sums", r
            got = {o.name: o.as_numpy() for o in r.outputs}
            np.testing.assert_array_equal(got["S"], a + b)
            np.testing.assert_array_equal(got["D"], a - b)
    words = np.array(["", "a\"b", "ü€"], dtype=object)
    for binary in (True, False):
        i = InferInput("X", [3], "BYTES")
        i.set_data_from_numpy(words, binary_data=binary)
        r = await c.infer(url, InferRequest("texts", [i], request_id="t"), model_name="texts")
        got = [w.decode() if isinstance(w, bytes) else w for w in r.outputs[0].as_numpy().tolist()]
        assert got == list(words), got
    half = np.array([1, -2.5, 65504], dtype=np.float16)
    i = InferInput("X", [3], "FP16")
    i.set_data_from_numpy(half, binary_data=True)
    r = await c.infer(url, InferRequest("halves", [i], request_id="h", parameters={"binary_data_output": True}), model_name="halves")
    np.testing.assert_array_equal(r.outputs[0].as_numpy(), half)
    for model, ins, part in (("nobody", ins, "no endpoint"), ("sums", ins[:1], "'B' (FP32) is missing")):
        try:
            await c.infer(url, InferRequest(model, ins), model_name=model)
        except httpx.HTTPStatusError as e:
            assert part in str(e), e
        else:
            raise AssertionError(f"not refused: {part}")
    await c.close()


async def first_protocol(url):
    import httpx
    from kserve import InferenceRESTClient, RESTConfig

    c = InferenceRESTClient(RESTConfig(protocol="v1", retries=1))
    assert await c.is_model_ready(url, "sums") is True
    r = await c.infer(url, {"instances": [{"A": [1, 2, 3], "B": [10, 20, 30]}]}, model_name="sums")
    assert r == {"predictions": [{"S": [11, 22, 33], "D": [-9, -18, -27]}]}, r
    r = await c.infer(url, {"instances": ["a", "ü"]}, model_name="texts")
    assert r == {"predictions": ["a", "ü"]}, r
    for model, part in (("nobody", "no endpoint"), ("sums", "neither instances nor inputs")):
        try:
            await c.infer(url, {"rows": []}, model_name=model)
        except httpx.HTTPStatusError as e:
            assert part in str(e), e
        else:
            raise AssertionError(f"not refused: {part}")
    await c.close()


async def unloaded(url):
    from kserve import InferenceRESTClient, RESTConfig
    for protocol in ("v1", "v2"):
        c = InferenceRESTClient(RESTConfig(protocol=protocol, retries=1))
        assert await c.is_model_ready(url, "halves") is False, protocol
        await c.close()


def venv():
    folder = os.path.join(VENVS, "kserve")
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    if subprocess.run([python, "-c", "import kserve"], capture_output=True).returncode:
        made = subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r",
                               os.path.join(HERE, "..", "requirements-kserve.txt")])
        if made.returncode:
            print("skipped: KServe's client could not be installed")
            sys.exit(77)
    return python


def main():
    import tempfile
    from quern import Server
    from triton import MODELS, deploy, library
    python = venv()
    with tempfile.TemporaryDirectory() as folder, Server(env={"QUERN_ONNX_LIBRARY": library()}) as server:
        subprocess.run([os.path.join(VENVS, "mlflow3", "bin", "python"), "-c", MODELS, folder], check=True)
        for name in ("sums", "texts", "halves"):
            with open(f"{folder}/{name}.onnx", "rb") as f:
                deploy(server, name, f.read())
        subprocess.run([python, __file__, server.url], check=True)
        assert server.post("/v2/repository/models/halves/unload").status == 200
        subprocess.run([python, __file__, server.url, "unloaded"], check=True)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif len(sys.argv) == 3:
        asyncio.run(unloaded(sys.argv[1]))
    else:
        asyncio.run(second_protocol(sys.argv[1]))
        asyncio.run(first_protocol(sys.argv[1]))
        print("KServe's client: all as it should be")
