"""What supersedes what, and what is merged: pairs that must stay apart, and pairs that must not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ctxplug import AgentMemory

APART = [
    # what is said of a thing, and not which it is
    ("The user lives in Lisbon", "The user lives in fear of spiders"),
    ("I live in Lisbon", "I live in a house"),
    ("I live in Lisbon", "I moved to tears"),
    ("I live in Lisbon", "I moved to a standing desk"),
    ("I live in Lisbon", "I moved to the second question"),
    ("I live in Berlin", "I moved to Gmail"),
    ("I work at Google", "I work at night"),
    ("I work at Google", "I work at the Zurich office"),
    ("I work for Google", "I work for fun"),
    ("I work as a teacher", "I work as fast as I can"),
    ("I work as a nurse", "I work as a volunteer"),
    ("My name is Anna", "My name is German"),
    ("My name is Anna", "My name is hard to pronounce"),
    ("My email is a@b.com", "My email is broken"),
    ("My phone number is 12345678", "My phone is an Android"),
    ("My job is engineer", "My job is boring"),
    ("My job is engineer", "My job is a disaster"),
    ("My address is 5 Main St", "My address is private"),
    ("My age is 30", "My age is a secret"),
    ("My birthday is May 3", "My birthday is next week"),
    ("My favourite food is sushi", "My favourite food is Japanese"),
    ("My favorite restaurant is Noma", "My favorite restaurant is closed"),
    ("My favorite movie is Titanic", "My favorite movie is three hours long"),
    ("My current project is Apollo", "My current project is late"),
    ("我住在北京", "我住在三楼"),
    ("我住在上海", "我住在酒店"),
    ("我搬到北京了", "我搬到靠窗的位置了"),
    ("我在谷歌工作", "我在家工作"),
    ("我在腾讯上班", "我在深圳上班"),
    ("我叫陈伟", "我叫外卖"),
    ("我叫陈伟", "我叫了一辆车"),
    ("我的名字是陈伟", "我的名字是爷爷取的"),
    ("我的电话是12345678", "我的电话是坏的"),
    ("我的生日是5月3日", "我的生日是在冬天"),
    ("我的工作是教师", "我的工作是照顾三十个孩子"),
    ("I live in London", "I live in Building B"),
    ("I moved to Lisbon", "I moved to Senior Engineer"),
    ("I moved to Lisbon", "I moved to Plan B"),
    ("My favourite book is Dune", "My favourite book is about deserts"),
    ("My favourite team is Arsenal", "My favourite team is winning"),
    ("My current address is 5 Main St", "My current address is temporary"),
    ("My current book is Dune", "My current book is 600 pages"),
    ("My timezone is CET", "My timezone is UTC+1"),
    ("My name is Wang Wei", "我叫王伟"),
    ("我最喜欢的歌手是周杰伦", "我最喜欢的歌手是台湾人"),
    ("老师住在北京", "老师住在上海"),
    # of several, or of another
    ("My brother lives in Rome", "My brother lives in Milan"),
    ("女儿叫王小美", "女儿叫王小梅"),
    ("我住在上海", "周末我住在苏州"),
    ("Dogs live in Germany", "Dogs live in France"),
    ("My main concern is cost", "My main concern is safety"),
    ("I live in Lisbon", "Anna lives in Porto"),
    # larger and smaller places, and the same in other words
    ("I live in Berlin", "I live in Germany"),
    ("I live in Berlin", "I live in Kreuzberg"),
    ("I moved to Canada", "I moved to Toronto"),
    ("我住在上海", "我住在浦东"),
    ("我住在北京", "我住在海淀区"),
    ("我搬到加拿大了", "我搬到多伦多了"),
    ("My birthday is 3 May", "My birthday is May 3"),
    ("My birthday is 1990-05-03", "我的生日是5月3日"),
    ("My phone is +49 170 1234", "My phone number is 0170 1234"),
    # a word more that makes it another thing
    ("The server is in Frankfurt", "The backup server is in Frankfurt"),
    ("The user likes to eat dogs at home", "The user likes to eat hot dogs at home"),
    ("服务器在法兰克福的机房里", "备用服务器在法兰克福的机房里"),
    ("The file is at src/Foo.py", "The file is at src/foo.py"),
    ("密码是abc", "密码是ABC"),
]
SUPERSEDED = [
    ("I live in Lisbon", "I just moved to Berlin last month"),
    ("I live in Lisbon", "I'm living in Berlin now"),
    ("I live in Germany", "I moved to France"),
    ("I live in New York", "I live in The Hague"),
    ("Mara lives in Rome", "Mara moved to Milan"),
    ("My wife works at Acme", "My wife now works at Globex"),
    ("The user's employer is Acme", "User works at Globex"),
    ("My job is nurse", "I work as a software engineer now"),
    ("My name is Anna", "My name is now Anne-Marie"),
    ("my name is anna", "my name is maria"),
    ("My email is a@b.com", "My email address changed to x@y.org"),
    ("My phone number is 123456", "My phone number is 654321"),
    ("My favorite color is blue", "My favourite colour is now green"),
    ("Mara's favourite food is sushi", "Mara's favorite food is pizza"),
    ("The project's default branch is master", "The project's default branch is main"),
    ("My shoe size is 42", "My shoe size is 43"),
    ("My timezone is Europe/Berlin", "My timezone is America/New_York"),
    ("My hometown is Portugal", "My hometown is Spain"),
    ("My favourite book is Dune", "My favourite book is Emma"),
    ("我叫陈伟", "我的名字改为陈明"),
    ("My birthday is May 3", "My birthday is May 4"),
    ("I live in Paris", "我搬到里斯本了"),
    ("我住在上海", "我搬到北京了"),
    ("我住在浦东", "我搬到徐汇区了"),
    ("小明住在北京", "小明搬到上海了"),
    ("妈妈住在北京", "妈妈搬到上海了"),
    ("我在谷歌工作", "我现在在苹果工作"),
    ("我在招商银行工作", "我在字节跳动上班了"),
    ("我叫陈伟", "我改名叫陈明了"),
    ("我的职业是医生", "我的职业是律师"),
    ("我的手机号是13800000000", "我的手机号换成13900000000了"),
    ("我的地址是中山路5号", "我的地址是南京路7号"),
    ("我的默认语言是中文", "我的默认语言改为英文"),
    ("我的鞋码是42", "我的鞋码是43"),
]
MERGED = [
    ("Prefers window seats on long flights", "User prefers window seats on long flights"),
    ("The user allergic to nuts and milk", "The user is allergic to nuts and milk"),
    ("喜欢坐在靠窗的座位上看云", "用户非常喜欢坐在靠窗座位上看云。"),
]


@pytest.fixture
def memory() -> Iterator[AgentMemory]:
    with AgentMemory.open("memory:", namespace="acme/alice") as opened:
        yield opened


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("pair", APART)
def test_both_stand(memory: AgentMemory, pair: tuple[str, str], order: int) -> None:
    for text in pair[::order]:
        memory.remember(text)
    memory.consolidate()
    assert sorted(one.content for one in memory.memories()) == sorted(pair)


@pytest.mark.parametrize("pair", SUPERSEDED)
def test_the_later_supersedes(memory: AgentMemory, pair: tuple[str, str]) -> None:
    for text in pair:
        memory.remember(text)
    assert [one.content for one in memory.memories()] == [pair[1]]
    memory.consolidate()
    assert len(memory.memories(include_superseded=True)) == 2


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("pair", MERGED)
def test_they_become_one(memory: AgentMemory, pair: tuple[str, str], order: int) -> None:
    for text in pair[::order]:
        memory.remember(text)
    memory.consolidate()
    assert len(memory.memories(include_superseded=True)) == 1
