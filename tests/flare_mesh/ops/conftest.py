import pytest
import torch


@pytest.fixture
def interpreter(monkeypatch):
    """Without a GPU the tests need Triton's interpreter, and it to multiply bfloat16."""
    if torch.cuda.is_available():
        return
    tl = pytest.importorskip("triton.language")
    interpreter = pytest.importorskip("triton.runtime.interpreter")
    if not isinstance(tl.sum, interpreter.InterpretedFunction):
        pytest.fail("TRITON_INTERPRET=1 must be set before anything imports triton")
    create_dot = interpreter.InterpreterBuilder.create_dot

    def create_dot_of_floats(self, a, b, *rest):
        if a.dtype.scalar == tl.bfloat16:  # held as integers
            a, b = self.cast_impl(a, tl.float32), self.cast_impl(b, tl.float32)
        return create_dot(self, a, b, *rest)

    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_dot", create_dot_of_floats)
