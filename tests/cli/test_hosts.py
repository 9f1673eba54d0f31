"""`byteport doctor` on the configured hosts."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Home
from tests.compute_server import PROJECT, ZONE, error, running


def test_doctor_says_which_hosts_let_us_in(home: Home):
    home.configure(
        hosts={"here": {"transport": "local"}, "away": {"address": "127.0.0.1", "port": 1, "user": "x", "agent": True}},
        runbooks={"application_error": {"options": {"commandHost": "here"}}},
    )
    found = {row["check"]: row for row in home.run("doctor", "--json").json["findings"]}
    assert found["host here"]["word"] == "ok"
    assert found["host away"]["word"] == "failed"
    assert "host here, commands" in found
    assert "host away, commands" not in found


def test_doctor_says_whether_a_host_s_cloud_shows_its_disks(home: Home, tmp_path: Path):
    with running() as (compute, http):
        compute.attach("here", "boot", compute.add_disk("here", 10), boot=True)
        cloud = {"provider": "gcp", "project": PROJECT, "zone": ZONE, "api_url": http.url}
        cloud["credentials_file"] = str(compute.file(tmp_path))
        home.configure(hosts={"here": {"transport": "local", "cloud": cloud}})
        found = {row["check"]: row for row in home.run("doctor", "--json").json["findings"]}
        assert found["host here, cloud"] == {
            "check": "host here, cloud",
            "word": "ok",
            "detail": "gcp: shows its disks",
        }
        http.instead += [None, error(403, "Required 'compute.instances.get' permission", "forbidden")]
        found = {row["check"]: row for row in home.run("doctor", "--json").json["findings"]}
        assert found["host here, cloud"]["word"] == "failed"
        assert found["host here, cloud"]["detail"].endswith("it needs compute.instances.get")


def test_an_instance_s_own_account_is_the_login_where_no_file_is_named(home: Home, tmp_path: Path):
    with running() as (compute, http):
        compute.attach("vm1", "boot", compute.add_disk("vm1", 10), boot=True)
        cloud = {"provider": "gcp", "project": PROJECT, "zone": ZONE, "instance": "vm1", "api_url": http.url}
        home.configure(hosts={"here": {"transport": "local", "cloud": cloud}})
        at = {"GCE_METADATA_HOST": f"127.0.0.1:{http.port}", "GCE_METADATA_IP": f"127.0.0.1:{http.port}"}
        ended = home.run("doctor", "--json", **at, CLOUDSDK_CONFIG=str(tmp_path), HOME=str(tmp_path))
        found = {row["check"]: row for row in ended.json["findings"]}
        assert found["host here, cloud"]["word"] == "ok", found["host here, cloud"]["detail"]
        assert compute.tokens == 1
        assert compute.methods == ["instances.get", "disks.get"]


def test_the_rights_at_a_cloud_are_named(home: Home):
    told = {form: home.run("permissions", "disk_space_auto_reclaim", "--format", form).out for form in ("aws", "gcp")}
    assert "to act, besides: ec2:ModifyVolume" in told["aws"]
    assert "to look: compute.instances.get, compute.disks.get" in told["gcp"]
    assert "to act, besides: compute.disks.resize, compute.zoneOperations.get" in told["gcp"]
    assert "compute.regionOperations.get" in told["gcp"]
    refused = home.run("permissions", "disk_pressure", "--format", "gcp")
    assert (refused.code, "one that disk_pressure needs: host, sudoers" in refused.err) == (2, True)
