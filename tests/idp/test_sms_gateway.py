"""The gateway for text messages: what it is sent, and what it answers."""

import base64
import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from idp import sms_gateway
from idp.errors import Refused, SettingsError, Unavailable
from idp.http import Outbound, OutboundError
from idp.settings import load
from idp.sms_gateway import HttpGateway
from tests.support.site import Reply, site
from tests.support.tls import Authority

TO = "+819012345678"
EVIL = '"},{"to":"+1900"} & to=+1900\n\\ {to} %26 関所 €'
JSON_BODY = '{"messages": [{"to": "{to}", "text": "{text}", "from": "Sekisho"}]}'
TWILIO = "twilio://AC0123abcd:the%2Ftoken@/+15005550006"


def test_without_a_template_a_message_is_json() -> None:
    gateway = sms_gateway.read("https://sms.test/", "", "")
    assert json.loads(gateway.fill(TO, "hello")) == {"to": TO, "text": "hello"}


# OR-13
def test_a_text_is_one_value_whatever_is_in_it() -> None:
    as_json = sms_gateway.read("https://sms.test/", "", JSON_BODY)
    assert json.loads(as_json.fill(TO, EVIL)) == {
        "messages": [{"to": TO, "text": EVIL, "from": "Sekisho"}]
    }
    as_form = sms_gateway.read("https://sms.test/", "", "to={to}&body={text}&from=Sekisho")
    form = parse_qs(as_form.fill(TO, EVIL).decode(), strict_parsing=True)
    assert form == {"to": [TO], "body": [EVIL], "from": ["Sekisho"]}


def test_twilio_gets_its_form() -> None:
    gateway = sms_gateway.read(TWILIO, "", "ignored")
    assert gateway.url == "https://api.twilio.com/2010-04-01/Accounts/AC0123abcd/Messages.json"
    scheme, credentials = gateway.headers["Authorization"].split()
    assert (scheme, base64.b64decode(credentials)) == ("Basic", b"AC0123abcd:the/token")
    assert parse_qs(gateway.fill(TO, "a & b").decode()) == {
        "To": [TO],
        "From": ["+15005550006"],
        "Body": ["a & b"],
    }
    assert "token" not in repr(gateway)


def test_twilio_takes_a_key_of_an_account_and_a_messaging_service() -> None:
    gateway = sms_gateway.read("twilio://SK99:secret@AC0123/MG77", "", "")
    assert gateway.url.endswith("/Accounts/AC0123/Messages.json")
    assert base64.b64decode(gateway.headers["Authorization"].split()[1]) == b"SK99:secret"
    assert parse_qs(gateway.fill(TO, "a").decode())["MessagingServiceSid"] == ["MG77"]


@pytest.mark.parametrize(
    "given",
    [
        {"SMS_URL": "http://sms.example.com/"},
        {"SMS_URL": "https://user:word@sms.example.com/"},
        {"SMS_URL": "sms.example.com"},
        {"SMS_URL": "https://[::1/"},
        {"SMS_URL": "twilio://AC1:hidden-word@sms.example.com:1/x"},
        {"SMS_URL": "twilio://AC1@/+15005550006"},
        {"SMS_URL": "twilio://SK1:hidden-word@/+15005550006"},
        {"SMS_HEADERS": "Authorization"},
        {"SMS_HEADERS": "Host: hidden-word"},
        {"SMS_HEADERS": "A: b\nContent-Length: 0"},
        {"SMS_HEADERS": "A: hidden-word\x7f"},
        {"SMS_BODY": "to={to}"},
        {"SMS_BODY": "{text}"},
        {"SMS_BODY": '{"to": {to}, "text": {text}}'},
        {"SMS_BODY": '{"to": "{to}", "text": "{text}"'},
        {"SMS_COUNTRIES": "Japan"},
        {"SMS_COUNTRIES": "JP,*,jp"},
        {"SMS_COUNTRIES": ","},
        {"SMS_PER_DAY": "0"},
        {"OUTBOUND_NETWORKS": "10.0.0.1/8"},
        {"OUTBOUND_NETWORKS": "localhost"},
        {"OUTBOUND_CA_FILE": "/nowhere/ca.pem"},
    ],
    ids=str,
)
def test_a_setting_that_cannot_work_is_refused_by_name(given: dict[str, str]) -> None:
    good = {"SEKISHO_SMS_URL": "https://sms.example.com/send"}
    assert load(good).offers_sms
    with pytest.raises(SettingsError) as refused:
        load(good | {f"SEKISHO_{name}": value for name, value in given.items()})
    assert f"SEKISHO_{next(iter(given))}" in str(refused.value)
    assert "hidden-word" not in str(refused.value)


def test_headers_are_one_a_line(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("Authorization: Bearer a, b; c\n\nX-Key:d\n")
    settings = load({"SEKISHO_SMS_URL": "https://sms.test/", "SEKISHO_SMS_HEADERS_FILE": str(file)})
    gateway = sms_gateway.read(settings.sms_url, settings.sms_headers, settings.sms_body)
    assert gateway.headers == {"Authorization": "Bearer a, b; c", "X-Key": "d"}
    assert "Bearer" not in repr(settings) + repr(gateway)


def test_without_a_gateway_no_text_messages_are_offered_but_in_the_demo() -> None:
    assert not load({}).offers_sms
    assert load({"SEKISHO_DEMO": "true"}).offers_sms


def test_a_gateway_is_asked_over_tls_and_only_2xx_is_success(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    outbound = Outbound(
        ("127.0.0.0/8",), authority.ca_file, resolve=lambda host, port: ["127.0.0.1"]
    )
    with site("sms.test", authority.context("sms.test")) as there:
        gateway = sms_gateway.read(there.url("/send"), "X-Key: k", "to={to}&text={text}")
        sender = HttpGateway(gateway, outbound)
        for status in (200, 201, 202, 204):
            there.answers["/send"] = Reply(status=status)
            sender.send(TO, "確認コード：ABC234")
        received = there.received[0]
        assert received.form == {"to": TO, "text": "確認コード：ABC234"}
        assert received.headers["content-type"] == "application/x-www-form-urlencoded"
        assert received.headers["x-key"] == "k"
        for status in (302, 400, 401, 429, 500, 503):
            there.answers["/send"] = Reply(b"to " + TO.encode(), status)
            with pytest.raises(Unavailable) as refused:
                sender.send(TO, "ABC234")
            assert str(status) in str(refused.value)
            assert TO not in str(refused.value)


def test_a_gateway_in_the_own_network_must_be_named() -> None:
    with site() as there:
        gateway = sms_gateway.read(there.url("/send"), "", "")
        there.answers["/send"] = Reply()
        HttpGateway(gateway, Outbound(("127.0.0.0/8", "::1/128"))).send(TO, "a")
        with pytest.raises(OutboundError, match="SEKISHO_OUTBOUND_NETWORKS"):
            HttpGateway(gateway, Outbound()).send(TO, "a")
        [received] = there.received
        assert received.headers["content-type"] == "application/json"


def test_the_name_of_the_wrong_setting_is_told() -> None:
    with pytest.raises(Refused) as refused:
        sms_gateway.read("https://sms.test/", "", "nothing")
    assert refused.value.member == "sms_body"
