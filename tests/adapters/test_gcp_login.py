"""The login at Google: google-auth's own, at a loopback server that checks the signature. No GCP has been asked."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from byteport.adapters.cloud_volumes import CloudVolumes
from byteport.embedded import free_port
from byteport.errors import Denied, Permanent, Transient
from tests.compute_cloud import cloud as cloud
from tests.compute_cloud import zonal as zonal
from tests.compute_server import TOKEN
from tests.http_server import HANGS, Reply


def test_one_token_serves_until_it_has_run_out(zonal):
    volumes = zonal.volumes
    volumes.volume("web1", "/data")
    volumes.grow("web1", volumes.volume("web1", "/data"), 125, "intent-1")
    assert zonal.compute.tokens == 1


def test_nobody_there_is_transient_and_grows_nothing(zonal):
    volumes, found = zonal.volumes, zonal.found()
    gone = zonal.section.model_copy(update={"api_url": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(Transient, match="refused"):
        CloudVolumes(zonal.host, {"web1": gone}, volumes.providers).volume("web1", "/data")
    assert found.gigabytes == 100
    assert zonal.resized() == []


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        ("{", Denied, "content is none of Google's"),
        ('{"type": "external_account", "credential_source": 7}', Denied, "content is none of Google's"),
        ('{"type": "authorized_user"}', Permanent, "no file of a service account or a workload identity"),
        ('{"type": "service_account", "client_email": "x"}', Denied, "no login"),
        (json.dumps({"type": "external_account", "credential_source": {"executable": {"command": "/bin/true"}}}), Permanent,
         "no file of a service account or a workload identity"),
        (None, Denied, "No such file"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_login_is_told_and_never_quoted(zonal, tmp_path, content, kind, words):
    file = tmp_path / "other.json"
    if content is not None:
        file.write_text(content)
    section = zonal.section.model_copy(update={"credentials_file": file})
    with pytest.raises(Permanent, match=words) as told:
        CloudVolumes(zonal.host, {"web1": section}, zonal.volumes.providers).volume("web1", "/data")
    assert type(told.value) is kind
    assert "client_email" not in str(told.value)


def test_a_login_that_google_takes_back_is_denied_and_one_that_nobody_answers_is_not_known(zonal):
    zonal.compute.http.instead.append(
        Reply(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
    )
    with pytest.raises(Denied, match=r"no login: .*invalid_grant"):
        zonal.volumes.volume("web1", "/data")
    zonal.compute.http.instead.append(HANGS)
    with pytest.raises(Transient, match="no login"):
        zonal.volumes.volume("web1", "/data")


def test_application_default_credentials_are_those_of_the_environment(zonal, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(zonal.section.credentials_file))
    zonal.section = zonal.section.model_copy(update={"credentials_file": None})
    assert zonal.found().gigabytes == 100


def test_a_workload_identity_trades_its_token_for_google_s(zonal, tmp_path):
    subject = tmp_path / "token"
    subject.write_text("of-the-workload")
    url = zonal.compute.http.url
    file = tmp_path / "workload.json"
    file.write_text(json.dumps({
        "type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": f"{url}/sts",
        "credential_source": {"file": str(subject)},
    }))  # fmt: skip
    zonal.section = zonal.section.model_copy(update={"credentials_file": file})
    zonal.compute.http.instead.append(Reply(200, {
        "access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer",
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }))  # fmt: skip
    assert zonal.found().gigabytes == 100
    assert b"of-the-workload" in zonal.compute.http.asked[0].body


def test_without_the_extra_it_says_what_to_install(zonal):
    script = (
        "import sys; sys.modules['google.auth'] = None\n"
        "from byteport.adapters.gcp import ComputeApi\n"
        f"ComputeApi({zonal.section.api_url!r}).ask('GET', '/projects/x', 'a right')"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert "Permanent: google-auth is not installed: pip install 'byteport[gcp]'" in told.stderr
    assert zonal.compute.http.asked == []
