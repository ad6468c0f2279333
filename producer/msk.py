"""IAM login to Amazon MSK: a region goes in, properties of the client with a source of tokens come out.

The client asks for a token while it is polled: one that nobody polls does not log in.
"""

from __future__ import annotations

from typing import Any

from producer.errors import Misconfigured


def login(region: str | None) -> dict[str, Any]:
    """SASL/OAUTHBEARER over TLS, with tokens signed by the credentials of the environment or task role."""
    if not region:
        raise Misconfigured(
            "no-region", "--kafka-auth msk-iam needs a region", fix="add --aws-region, such as eu-central-1"
        )
    try:
        from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
    except ImportError as error:
        raise Misconfigured(
            "no-signer",
            "the IAM login needs aws-msk-iam-sasl-signer-python",
            fix="pip install 'medallion-runner[kafka,aws]'",
        ) from error

    def token(_config: str) -> tuple[str, float]:
        signed, expires_ms = MSKAuthTokenProvider.generate_auth_token(region)
        return signed, expires_ms / 1000

    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "OAUTHBEARER",
        "oauth_cb": token,
    }
