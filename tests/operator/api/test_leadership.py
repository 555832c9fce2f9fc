"""Two operators, and one that dies in the middle."""

import signal

import pytest

from operator_platform import Platform, until
from wharfinger_crds.kinds import INSTALLATION


@pytest.mark.requirement("OPS-7")
async def test_of_two_operators_one_leads_and_the_other_takes_over(platform: Platform) -> None:
    first = await platform.operator()
    await until(first.leads)
    second = await platform.operator()

    await first.stop()
    await until(second.leads)
    await platform.install()

    await until(lambda: platform.ready(INSTALLATION, "time"))
    await second.stop()


@pytest.mark.requirement("OPS-7")
async def test_an_operator_killed_in_the_middle_of_an_apply_changes_nothing_about_the_end(platform: Platform) -> None:
    first = await platform.operator()
    await until(first.leads)
    for number in range(20):
        await platform.install(f"time-{number}")
        if number == 10:
            await first.stop(signal.SIGKILL)

    second = await platform.operator()

    async def complete() -> bool:
        return len(await platform.children()) == 20 * 7

    await until(complete, 60)
    await second.stop()
