import pytest, asyncio
from channels.testing import check_channel
import tests.channels.test_app as A, tests.channels.test_wechat as W, tests.channels.test_weibo as B, tests.channels.test_sms_twilio as S, tests.channels.test_telegram as T
@pytest.fixture
async def gateway(start_gateway):
    async with start_gateway(lambda d: d["channels"].pop("mailbox")) as g:
        yield g
@pytest.mark.parametrize("kind,mod",[("app",A),("wechat",W),("weibo",B),("sms_twilio",S),("telegram",T)])
async def test_c(gateway, kind, mod):
    await check_channel(kind, mod.cases(gateway), gateway)
