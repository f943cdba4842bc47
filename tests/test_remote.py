"""Texts sent to a server of this test's own, which answers well, badly, late or not at all."""

import json
import re
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from embedlab.data.download import DataUnavailable
from embedlab.embedders import remote
from embedlab.embedders.remote import RemoteText

KEY = "sk-not-a-real-key"


def vector(text: str) -> list[float]:
    """What the server makes of a text: its length and its first letter."""
    return [float(len(text)), float(ord(text[0]))]


def answers(asked: dict) -> dict:
    data = [{"index": i, "embedding": vector(text)} for i, text in enumerate(asked["input"])]
    return {"object": "list", "data": data, "model": asked["model"]}


class Server(ThreadingHTTPServer):
    """Keeps what it was asked; `plan` are functions of (handler, asked) for the first requests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.headers, self.paths, self.plan = [], [], [], []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        self.server.headers.append(self.headers)
        self.server.paths.append(self.path)
        turn = len(self.server.asked) - 1
        plan = self.server.plan
        (plan[turn] if turn < len(plan) else say)(self, asked)

    def log_message(self, *args):
        pass


def say(handler, asked, status=200, body=None, headers=()):
    body = answers(asked) if body is None else body
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def saying(status, body, *headers):
    return lambda handler, asked: say(handler, asked, status, body, headers)


def hang_up(handler, asked):
    handler.close_connection = True
    handler.connection.close()


@pytest.fixture
def pauses(monkeypatch):
    """The seconds that were waited, without waiting."""
    waited = []
    monkeypatch.setattr(remote.time, "sleep", waited.append)
    return waited


@pytest.fixture
def server(monkeypatch, pauses):
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1/")
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield server
        server.shutdown()
        thread.join()


def embed(*texts, **how):
    return RemoteText("small", **how).fit().transform(list(texts))


def test_texts_go_out_in_batches_and_come_back_in_order(server):
    texts = ["one", "three", "fourteen", "🙂", "你好"]
    v = embed(*texts, batch_size=2)
    np.testing.assert_array_equal(v, np.float32([vector(text) for text in texts]))
    assert v.dtype == np.float32
    assert [asked["input"] for asked in server.asked] == [texts[:2], texts[2:4], texts[4:]]
    assert {asked["model"] for asked in server.asked} == {"small"}
    assert set(server.paths) == {"/v1/embeddings"}
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}


def test_the_server_may_answer_in_any_order(server):
    def shuffled(handler, asked):
        say(handler, asked, body={"data": answers(asked)["data"][::-1]})

    server.plan = [shuffled]
    assert embed("a", "bb", "ccc")[:, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(status, server, pauses):
    server.plan = [saying(status, {"error": {"message": "later"}})] * 2
    assert embed("a").tolist() == [vector("a")]
    assert len(server.asked) == 3
    assert pauses == [1, 2]


def test_the_pause_is_at_least_what_the_server_asks_for(server, pauses):
    date = formatdate(time.time() + 60, usegmt=True)
    asks = ["7", "0.2", "soon", date]
    server.plan = [saying(429, "later", ("Retry-After", asked)) for asked in asks]
    embed("a")
    assert pauses[:3] == [7, 2, 4]
    assert 50 < pauses[3] <= 60


def test_nobody_waits_an_hour(server, pauses):
    server.plan = [saying(429, {"error": {"message": "Come back"}}, ("Retry-After", "3600"))]
    with pytest.raises(DataUnavailable, match="429, Come back"):
        embed("a")
    assert not pauses


def test_in_the_end_it_gives_up_with_the_servers_sentence(server, pauses):
    server.plan = [saying(429, {"error": {"message": "You exceeded your quota."}})] * 9
    with pytest.raises(DataUnavailable, match="429, You exceeded your quota"):
        embed("a")
    assert pauses == list(remote.PAUSES)


def test_a_connection_that_breaks_is_tried_again(server):
    server.plan = [hang_up]
    assert embed("a").tolist() == [vector("a")]
    server.plan = [hang_up] * 99
    with pytest.raises(DataUnavailable, match="gave no vectors: ConnectionError"):
        embed("a")


def test_a_slow_server_is_given_up(server):
    done = threading.Event()
    server.plan = [lambda handler, asked: done.wait(30)] * 9
    with pytest.raises(DataUnavailable, match=r"no answer in 0\.05 s"):
        embed("a", timeout=0.05)
    done.set()
    assert len(server.asked) == 1 + len(remote.PAUSES)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"error": {"message": f"Incorrect API key: {KEY}."}}, r"401, Incorrect API key: \*"),
        (404, {"error": {"message": "The model 'small' does not exist"}}, "404, The model 'small'"),
        (400, {"error": "too many tokens"}, "400, too many tokens"),
        (422, {"detail": [{"msg": "no such field"}]}, "422, .*no such field"),
        (403, "<html>Forbidden</html>", "403, <html>Forbidden"),
        (403, "", "403, Forbidden"),
    ],
)
def test_what_will_not_pass_is_said_in_the_servers_words_at_once(status, body, said, server):
    server.plan = [saying(status, body)] * 9
    with pytest.raises(DataUnavailable, match=f"small at http.*embeddings gave no vectors.*{said}"):
        embed("a")
    assert len(server.asked) == 1


def test_the_key_is_in_no_message(server):
    server.plan = [saying(401, {"error": {"message": f"Incorrect API key: {KEY}"}})]
    with pytest.raises(DataUnavailable) as raised:
        embed("a")
    assert KEY not in str(raised.value)


def entries(*vectors):
    return {"data": [{"index": i, "embedding": v} for i, v in enumerate(vectors)]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (entries([1.0]), r"2 texts were sent, vectors came for the places \[0\]"),
        (entries([1.0], [1.0], [1.0]), r"the places \[0, 1, 2\]"),
        ({"data": [{"index": 1, "embedding": [1.0]}] * 2}, r"the places \[1, 1\]"),
        (entries([1.0, 2.0], [float("nan"), 2.0]), "not finite"),
        (entries([1.0, 2.0], [1e39, 2.0]), "not finite"),
        (entries([1.0, 2.0], [None, 2.0]), "not finite"),
        (entries([1.0, 2.0], [1.0]), "not of one length"),
        (entries([], []), "not of one length"),
        (entries("AACAPw==", "AACAPw=="), "not that of an OpenAI-compatible server"),
        ({"data": [{"embedding": [1.0]}] * 2}, "not that of an OpenAI-compatible server"),
        ({"data": None}, "not that of an OpenAI-compatible server"),
        (["a"], "not that of an OpenAI-compatible server"),
        ("<html>Welcome</html>", "not that of an OpenAI-compatible server"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_wrong_answer_is_refused(body, said, server):
    server.plan = [saying(200, body)]
    with pytest.raises(DataUnavailable, match=said):
        embed("a", "b")


def test_a_model_has_vectors_of_one_length(server):
    server.plan = [saying(200, entries([1.0])), saying(200, entries([1.0, 2.0]))]
    with pytest.raises(DataUnavailable, match=r"vectors of \[1, 2\] numbers"):
        embed("a", "b", batch_size=1)


def test_where_nobody_listens_nobody_waits(server, pauses, monkeypatch):
    with Server() as other:
        port = other.server_port
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
    with pytest.raises(DataUnavailable, match=f"127.0.0.1:{port}.*ConnectionError"):
        embed("a")
    assert not pauses


def test_openai_itself_wants_a_key_and_another_server_need_not(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "")
    embed("a")
    assert "Authorization" not in server.headers[0]
    monkeypatch.delenv("OPENAI_BASE_URL")
    with pytest.raises(DataUnavailable, match="OPENAI_API_KEY is not set"):
        RemoteText("small").fit()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert RemoteText("small").fit().url_ == "https://api.openai.com/v1/embeddings"


def test_a_netrc_file_does_not_take_the_keys_place(server, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    embed("a")
    monkeypatch.setenv("OPENAI_API_KEY", "")
    embed("a")
    assert [h["Authorization"] for h in server.headers] == [f"Bearer {KEY}", None]


def test_the_key_is_not_kept(server):
    embedder = RemoteText("small").fit()
    assert KEY not in repr(vars(embedder))


@pytest.mark.parametrize(
    ("how", "url", "said"),
    [
        ({"model": " "}, None, "model=' ' must be the server's name"),
        ({"model": None}, None, "model=None must be"),
        ({"batch_size": 0}, None, "batch_size=0"),
        ({"timeout": 0}, None, "timeout=0"),
        ({}, "localhost:1234", "OPENAI_BASE_URL='localhost:1234' must begin with http"),
    ],
)
def test_bad_parameters(how, url, said, server, monkeypatch):
    if url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(ValueError, match=re.escape(said)):
        RemoteText(**{"model": "small", **how}).fit()


@pytest.mark.parametrize(
    ("texts", "error", "said"),
    [
        ([], ValueError, "X is empty"),
        (["a", ""], ValueError, r"X\[1\] is ''"),
        (["a", 3], TypeError, r"X\[1\] is 3"),
        ("a", TypeError, "list of texts"),
    ],
)
def test_bad_texts_are_not_sent(texts, error, said, server):
    with pytest.raises(error, match=said):
        RemoteText("small").fit().transform(texts)
    assert not server.asked


def test_before_fit_and_as_scikit_learn_wants_it():
    with pytest.raises(NotFittedError):
        RemoteText("small").transform(["a"])
    assert clone(RemoteText("small", timeout=3)).get_params() == {
        "model": "small",
        "batch_size": 64,
        "timeout": 3,
    }
