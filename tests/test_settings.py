"""The configuration: file and environment together, every error at once, and no secret ever told."""

from __future__ import annotations

from pathlib import Path

import pytest

from byteport.errors import BadConfiguration
from byteport.model.signal import Mode
from byteport.model.target import TargetKind
from byteport.settings import Settings

SECRET = "hunter2-and-more"
SHOP = f"postgresql://probe:{SECRET}@db1.example.net/shop"
HOST = "hosts: {web1: {transport: local,"


@pytest.fixture
def configured(tmp_path: Path):
    """Write a byteport.yaml and load it with an environment of the test's own."""

    def load(text: str = "", **environ: str) -> Settings:
        path = tmp_path / "byteport.yaml"
        path.write_text(text)
        return Settings.load(path, environ)

    return load


def problems(load, text: str = "", **environ: str) -> dict[str, str]:
    with pytest.raises(BadConfiguration) as caught:
        load(text, **environ)
    assert SECRET not in str(caught.value)
    return dict(caught.value.problems)


def test_nothing_configured_is_a_dry_run_on_loopback(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.load(environ={})
    assert settings.mode is Mode.DRY_RUN
    assert settings.explicit_mode is None
    assert settings.runbook_dry_run is None
    assert settings.web.url == "http://127.0.0.1:8321"
    assert settings.databases == {}


def test_the_environment_wins_over_the_file(configured) -> None:
    settings = configured("web: {port: 9000, host: 127.0.0.2}", BYTEPORT_WEB__PORT="9001")
    assert (settings.web.host, settings.web.port) == ("127.0.0.2", 9001)


def test_a_secret_in_the_environment_displaces_the_file_that_the_configuration_names(configured) -> None:
    settings = configured("database_url_file: /nowhere", BYTEPORT_DATABASE_URL="postgresql://ledger/byteport")
    assert settings.ledger_dsn == "postgresql://ledger/byteport"


def test_the_file_of_the_working_folder_is_found_by_itself(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "byteport.yaml").write_text("mode: live")
    monkeypatch.chdir(tmp_path)
    assert Settings.load(environ={}).explicit_mode is Mode.LIVE


def test_a_file_named_by_the_environment_is_read(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.yaml"
    path.write_text("policy: {storm_threshold: 50}")
    assert Settings.load(environ={"BYTEPORT_CONFIG": str(path)}).policy.storm_threshold == 50


def test_every_error_is_told_at_once_with_its_path(configured) -> None:
    told = problems(
        configured,
        """
        broker: redis://x
        mode: alive
        web: {porrt: 1, port: 70000}
        policy: {confidence_floor: 60}
        databases: {shop: {url: "mysql://u@h/shop"}, empty: {}}
        runbooks: {UPPER: {}, db_connection_pool_exhaustion: {confidence_floor: 20}}
        """,
        BYTEPORT_PAUSE="perhaps",
        BYTEPORT_WEBHOOKS="{not json",
    )
    assert told["broker"] == "not a setting; did you mean 'broker_url'?"
    assert told["mode"] == "must be 'dry_run', 'approve' or 'live'"
    assert told["web.porrt"] == "not a setting; did you mean 'port'?"
    assert told["web.port"] == "must be less than or equal to 65535"
    assert told["policy.confidence_floor"] == "must be greater than or equal to 70"
    assert told["databases.shop.url"].endswith("(scheme: mysql)")
    assert told["databases.empty"] == "url or url_file is required"
    assert "runbooks.UPPER" in told
    assert told["runbooks.db_connection_pool_exhaustion.confidence_floor"] == "must be greater than or equal to 70"
    assert told["pause"] == "must be true or false"
    assert told["webhooks"] == "JSON in BYTEPORT_WEBHOOKS, or one variable for each key"


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("- a list", "byteport.yaml", "a mapping"),
        ("web: {port: 1", "byteport.yaml:1", "YAML"),
        ("mode: live\nmode: dry_run", "byteport.yaml:2", "'mode' stands twice"),
        ("web: {token: abc}", "web.token", "at least 16 characters"),
        ("web: {token: 0123456789abcdef, token_file: /etc/hostname}", "web", "either token or token_file"),
        ("web: {token_file: /nowhere/token}", "web.token_file", "a readable file"),
        ("database_url: mysql://ledger", "database_url", "postgresql://"),
        ("broker_url: amqp://broker", "broker_url", "redis://"),
        ("databases: {shop: {url: 'postgresql:///shop'}}", "databases.shop.url", "no host"),
        ("databases: {shop: {url: 'postgresql://h'}}", "databases.shop.url", "no database name"),
        ("databases: {shop: {url: 'postgresql://h:99999/shop'}}", "databases.shop.url", "a port"),
        ("databases: {shop: {url: 'postgresql://h/a'}, too: {url: 'postgresql://i@h/a'}}", "databases", "twice: h/a"),
        ("pollers: {database: {threshold: 90}}", "pollers.database.threshold", "less than or equal to 1"),
        (
            "policy: {max_concurrent_remediations: 0}",
            "policy.max_concurrent_remediations",
            "greater than or equal to 1",
        ),
        ("webhooks: {jira: {}}", "webhooks.jira", "known here: alertmanager"),
        (f"{HOST} cloud: {{}}}}}}", "hosts.web1.cloud", "region: required where provider is aws"),
        (f"{HOST} cloud: {{provider: azure}}}}}}", "hosts.web1.cloud.provider", "'aws' or 'gcp'"),
        (
            f"{HOST} cloud: {{provider: gcp}}}}}}",
            "hosts.web1.cloud",
            "project and zone: required where provider is gcp",
        ),
        (
            f"{HOST} cloud: {{provider: gcp, project: p-1, zone: z-a, region: z}}}}}}",
            "hosts.web1.cloud",
            "region: not where provider is gcp",
        ),
        (
            f"{HOST} cloud: {{region: eu-central-1, zone: z-a}}}}}}",
            "hosts.web1.cloud",
            "zone: not where provider is aws",
        ),
        (f"{HOST} cloud: {{provider: gcp, project: p-1, zone: ../z}}}}}}", "hosts.web1.cloud.zone", "must match ^"),
    ],
)
def test_a_wrong_setting_names_its_key_and_what_was_expected(configured, text: str, key: str, expected: str) -> None:
    told = problems(configured, text)
    assert len(told) == 1
    path, words = told.popitem()
    assert key in path
    assert expected in words


def test_a_wrong_url_is_never_repeated(configured) -> None:
    told = problems(configured, f"databases: {{shop: {{url: 'postgresql://u:{SECRET}@/x'}}}}\ndatabase_url: {SECRET}")
    assert set(told) == {"databases.shop.url", "database_url"}


def test_no_secret_stands_in_what_settings_print(configured) -> None:
    settings = configured(
        f"databases: {{shop: {{url: '{SHOP}'}}}}\nweb: {{token: {SECRET}}}", BYTEPORT_BROKER_URL=f"redis://:{SECRET}@h"
    )
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json() + settings.digest()
    assert settings.web.in_clear("token") == SECRET
    assert settings.broker_dsn == f"redis://:{SECRET}@h"
    assert settings.budgets_dsn == settings.broker_dsn


def test_a_rotated_secret_counts_without_a_restart(configured, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("the-first-token-of-all\n")
    settings = configured(f"web: {{token_file: {path}}}")
    assert settings.web.in_clear("token") == "the-first-token-of-all"
    path.write_text("the-second-token-of-all\n")
    assert settings.web.in_clear("token") == "the-second-token-of-all"


def test_a_database_is_known_by_host_and_name_and_never_by_its_url(configured) -> None:
    settings = configured(f"databases: {{shop: {{url: '{SHOP}'}}}}")
    target = settings.target_of("shop")
    assert target == settings.target_of("db1.example.net/shop")
    assert (target.kind, target.key, target.within) == (
        TargetKind.DATABASE,
        "db1.example.net/shop",
        ("server:db1.example.net",),
    )
    assert target.coordinates == {"database": "shop"}
    assert SECRET not in target.model_dump_json()
    with pytest.raises(KeyError):
        settings.target_of("cart")


def test_two_servers_on_one_host_are_two_targets(configured) -> None:
    settings = configured("databases: {a: {url: 'postgresql://h:5432/x'}, b: {url: 'postgresql://h:5433/x'}}")
    assert [settings.target_of(name).key for name in "ab"] == ["h/x", "h:5433/x"]


def test_the_acting_login_is_its_own_where_it_is_given(configured) -> None:
    settings = configured(
        f"databases: {{shop: {{url: '{SHOP}'}}}}", BYTEPORT_DATABASES__SHOP__ACT_URL="postgresql://act@db1/shop"
    )
    assert settings.databases["shop"].acting_url == "postgresql://act@db1/shop"
    assert settings.databases["shop"].key == "db1.example.net/shop"


def test_a_missing_ledger_says_how_to_name_one() -> None:
    with pytest.raises(BadConfiguration, match="database_url: required here: postgresql://… in BYTEPORT_DATABASE_URL"):
        _ = Settings().ledger_dsn


def test_a_given_dry_run_is_an_opinion_and_an_absent_one_is_none(configured) -> None:
    assert configured(BYTEPORT_RUNBOOK_DRY_RUN="true").runbook_dry_run is True
    assert configured(BYTEPORT_RUNBOOK_DRY_RUN="false").runbook_dry_run is False
    assert configured(BYTEPORT_RUNBOOK_DRY_RUN="").runbook_dry_run is None


def test_the_digest_changes_with_what_workers_must_agree_on_and_with_nothing_else(configured) -> None:
    plain = configured(f"databases: {{shop: {{url: '{SHOP}'}}}}").digest()
    assert configured(f"databases: {{shop: {{url: '{SHOP.replace(SECRET, 'rotated')}'}}}}").digest() == plain
    assert configured(f"databases: {{shop: {{url: '{SHOP}'}}}}", BYTEPORT_WEB__PORT="1").digest() == plain
    assert configured(f"databases: {{shop: {{url: '{SHOP}', allowlist: [cron]}}}}").digest() != plain
    assert configured(f"databases: {{shop: {{url: '{SHOP}'}}}}", BYTEPORT_MODE="live").digest() != plain
    assert configured(f"databases: {{shop: {{url: '{SHOP}'}}}}", BYTEPORT_MODE="dry_run").digest() != plain


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("BYTEPORT_RUNBOOK_DRYRUN", "; did you mean 'BYTEPORT_RUNBOOK_DRY_RUN'?"),
        ("BYTEPORT_PAUSED", "; did you mean 'BYTEPORT_PAUSE'?"),
        ("BYTEPORT_DATABSE_URL", "; did you mean 'BYTEPORT_DATABASE_URL'?"),
        ("BYTEPORT_WHATEVER", ""),
    ],
)
def test_a_misspelt_switch_is_an_error_and_not_a_switch_that_is_off(configured, name: str, meant: str) -> None:
    assert problems(configured, **{name: "true"}) == {name: f"not a setting{meant}"}


def test_what_others_put_into_the_environment_is_no_error(configured) -> None:
    links = {
        "BYTEPORT_WEB_SERVICE_HOST": "10.0.0.1", "BYTEPORT_WEB_SERVICE_PORT_HTTP": "80",
        "BYTEPORT_WEB_PORT": "tcp://10.0.0.1:80", "BYTEPORT_WEB_PORT_80_TCP_ADDR": "10.0.0.1",
    }  # fmt: skip
    assert configured(PATH="/bin", BYTEPORT_IMAGE="byteport:local", **links).mode is Mode.DRY_RUN


def test_a_misspelt_key_of_a_section_in_the_environment_is_an_error(configured) -> None:
    assert problems(configured, BYTEPORT_WEB__PROT="1") == {"web.prot": "not a setting; did you mean 'port'?"}


def test_importing_the_package_fetches_its_names_only_when_asked() -> None:
    import subprocess
    import sys

    script = (
        "import sys, byteport; assert 'pydantic' not in sys.modules;"
        "from byteport import Signal, Target, Severity, enqueue, __version__;"
        "heavy = {'celery', 'redis', 'psycopg', 'kubernetes', 'httpx'} & set(sys.modules); assert not heavy, heavy;"
        "print(Signal.__name__, callable(enqueue), __version__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["Signal", "True", "0.1.0"], done.stderr
