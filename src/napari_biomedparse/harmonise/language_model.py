"""A language model behind an endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from napari_biomedparse.errors import BiomedParseError

T = TypeVar("T")
Messages = list[dict[str, str]]


class LanguageModelError(BiomedParseError):
    """No usable answer; the message says why and what to do."""


@dataclass(frozen=True)
class LanguageModel:
    """Where to ask.

    Attributes
    ----------
    endpoint
        Address up to the version, for example ``https://api.openai.com/v1`` or ``http://127.0.0.1:8000/v1``.
    name
        The model.
    key_variable
        Environment variable that holds the key; where it is not set, none is sent.
    timeout
        Seconds to wait for an answer.
    attempts
        How often a question is put before giving up.
    pause
        Seconds before the second attempt at a busy or failing server; twice as long before each further one.
    """

    endpoint: str
    name: str
    key_variable: str = "OPENAI_API_KEY"
    timeout: float = 120.0
    attempts: int = 3
    pause: float = 2.0

    def __post_init__(self) -> None:
        if not self.endpoint.startswith(("http://", "https://")):
            raise LanguageModelError(f"The endpoint {self.endpoint!r} must begin with http:// or https://.")

    def ask(self, messages: Messages, understand: Callable[[Any], T]) -> T:
        """Ask for a JSON answer, again with what was wrong if it cannot be understood.

        Parameters
        ----------
        messages
            The conversation so far, as the endpoint takes it.
        understand
            Turns the answer's JSON into what is wanted; raises ValueError if it cannot.

        Raises
        ------
        LanguageModelError
            If the server refuses, cannot be reached, or never gives a usable answer.
        """
        conversation, reason = list(messages), ""
        for _ in range(self.attempts):
            answer = self._answer(conversation)
            try:
                return understand(_json_in(answer))
            except ValueError as error:
                reason = str(error)
            conversation += [
                {"role": "assistant", "content": answer},
                {"role": "user", "content": f"That cannot be used: {reason}. Answer again with the JSON only."},
            ]
        raise LanguageModelError(
            f"{self.name} gave no usable answer in {self.attempts} attempts (last: {reason}). "
            "Run again, take another model, or leave --endpoint out to match names offline."
        )

    def _answer(self, messages: Messages) -> str:
        for attempt in range(self.attempts):
            try:
                return self._post(messages)
            except _BusyError as error:
                if attempt == self.attempts - 1:
                    raise LanguageModelError(
                        f"{self._address} does not answer ({error}). What it answered so far is kept: run again, or "
                        "leave --endpoint out to match names offline."
                    ) from None
                time.sleep(self.pause * 2**attempt)
        raise AssertionError("unreachable")

    @property
    def _address(self) -> str:
        address = self.endpoint.rstrip("/")
        return address if address.endswith("/chat/completions") else f"{address}/chat/completions"

    def _post(self, messages: Messages) -> str:
        body = {"model": self.name, "temperature": 0, "messages": messages}
        key = os.environ.get(self.key_variable, "").strip()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        request = urllib.request.Request(self._address, json.dumps(body).encode(), headers)
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(request, timeout=self.timeout) as response:
                content = json.load(response)
                answer = content["choices"][0]["message"]["content"]
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from None
        except TimeoutError:
            raise _BusyError(f"nothing came within {self.timeout:g} s") from None
        except OSError as error:
            raise _BusyError(str(getattr(error, "reason", error))) from None
        except (ValueError, LookupError, TypeError):
            raise LanguageModelError(
                f"{self._address} did not answer as OpenAI's chat completions do; check --endpoint."
            ) from None
        if not isinstance(answer, str):
            raise LanguageModelError(f"{self._address} answered without text; check --language-model.")
        return answer

    def _refusal(self, error: urllib.error.HTTPError) -> _BusyError | LanguageModelError:
        if error.code in (408, 409, 425, 429) or error.code >= 500:
            return _BusyError(f"HTTP {error.code}")
        if error.code in (401, 403):
            return LanguageModelError(
                f"{self._address} refuses the key (HTTP {error.code}); put a valid one into the environment variable "
                f"{self.key_variable}."
            )
        if 300 <= error.code < 400:
            return LanguageModelError(
                f"{self._address} points elsewhere (HTTP {error.code}); give that address as --endpoint."
            )
        said = error.read(2000).decode("utf-8", "replace").strip().replace("\n", " ")
        return LanguageModelError(f"{self._address} refuses the question (HTTP {error.code}): {said[:300]}")


class _BusyError(Exception):
    """Worth trying again."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: the key is meant for the address that was given."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _json_in(answer: str) -> Any:
    """Return the JSON object in an answer, which may have words or a fence around it."""
    start, end = answer.find("{"), answer.rfind("}")
    if start < 0 or end < start:
        raise ValueError("there is no JSON object in the answer")
    return json.loads(answer[start : end + 1])
