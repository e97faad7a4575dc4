"""What people read about each method: its name, how it is shown, what setting it up means."""

from __future__ import annotations

from idp.policy import Method
from idp.web import gettext


def name(method: str) -> str:
    names = {
        Method.PASSWORD: gettext("Password"),
        Method.PASSKEY: gettext("Passkey"),
        Method.TOTP: gettext("Authenticator app"),
        Method.SMS: gettext("Text message"),
        Method.EMAIL_CODE: gettext("E-mailed code"),
        Method.RECOVERY_CODE: gettext("Recovery code"),
    }
    return names[Method(method)]


def to_show(method: str) -> str:
    """How somebody who has it proves it, in a sentence."""
    sentences = {
        Method.PASSWORD: gettext("Enter the password of your account."),
        Method.PASSKEY: gettext("Use your fingerprint, face or PIN, or a security key."),
        Method.TOTP: gettext("Enter the code that your app shows."),
        Method.SMS: gettext("We send a code to your registered phone number."),
        Method.EMAIL_CODE: gettext("We send a code to your registered e-mail address."),
        Method.RECOVERY_CODE: gettext("Lost your device? Enter the recovery code that you kept."),
    }
    return sentences[Method(method)]


def to_set_up(method: str) -> str:
    """What it is, for somebody who does not have it yet; of those that are set up alone."""
    sentences = {
        Method.PASSKEY: gettext(
            "Your fingerprint, face or PIN on this device or a security key. The safest."
        ),
        Method.TOTP: gettext("An app on your phone shows a code. Works without a connection."),
        Method.SMS: gettext("We send a code to your phone number. Easy, but the least safe."),
    }
    return sentences[Method(method)]
