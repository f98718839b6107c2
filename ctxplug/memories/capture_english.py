"""The English forms of what is worth remembering; see `capture_rules`."""

# ruff: noqa: E501  (a table of patterns: broken up, its alternatives could not be read)

_ADVERBS = (
    r"(?:(?:really|always|usually|generally|normally|typically|much|also|still|just|definitely"
    r"|absolutely|actually|especially|particularly|mostly|personally|honestly|truly|totally|do"
    r"|both|all|tend to|too|only|never|ever|have always|'ve always|even|kinda|simply|so|now"
    r"|currently|recently|finally|already|probably|rarely|mainly|certainly|soon|then) )*"
)
_I = r"\b(?:i|we) "
_I_AM = r"\b(?:i'm|i am|im|we're|we are|i've been|i have been|we've been) "
_CLAUSE = (  # how a clause of its own begins, and no relative one does
    r"(?:^|[,;:.!-] ?|\b(?:and|but|so|then|because|since|yesterday|today|recently|ago|finally|week"
    r"|weekend|month|year|night|morning|spring|summer|autumn|fall|winter|day|[0-9]{4}) )"
)
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTH = (
    r"(?:january|february|march|april|june|july|august|september|october|november|december"
    r"|(?-i:May|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec))"
)
_WHEN = (
    rf"\b(?:tomorrow|tonight|{_DAY}s?|{_MONTH}|(?:next|this|coming) (?:week|weekend|month|year"
    r"|spring|summer|autumn|fall|winter|morning|afternoon|evening|semester|quarter)|today"
    r"|by (?:the end|noon|then|[0-9])|in (?:an hour|(?:a|one|two|three|four|five|six|[0-9]+|a few"
    r"|a couple of) (?:hours?|days?|weeks?|months?|years?))|[0-9]{1,2}(?::[0-9]{2})? ?[ap]\.?m\b"
    r"|(?:on|by|the) [0-9]{1,2}(?:st|nd|rd|th)\b|[0-9]{1,2}/[0-9]{1,2}|every (?:day|week|month"
    rf"|morning|evening|{_DAY}))\b"
)
_KIN = (
    r"(?:wife|husband|spouse|fianc(?:e|ee)|partner|girlfriend|boyfriend|son|daughter|kids?|child"
    r"|children|baby|mother|father|mom|mum|dad|parents|brother|sister|siblings?|twins?|uncle|aunt"
    r"|cousin|nephew|niece|grand(?:mother|father|ma|pa|son|daughter|parents|kids)|step\w+"
    r"|\w+-in-law|roommate|flatmate|neighbou?r|boss|manager|colleague|co-?worker|assistant|mentor"
    r"|coach|doctor|dentist|therapist|landlord|best friend|ex|dog|cat|puppy|kitten|pet|horse)"
)
_ABOUT_ME = (
    r"(?:address|e-?mail|phone|number|birthday|anniversary|hometown|passport|password|username"
    r"|account|zip code|postcode|time ?zone|blood type|shoe size|nationality|native language"
    r"|mother tongue|pronouns|surname|last name|first name|middle name|nickname|age|height|weight"
    r"|major|degree|job|car|budget|salary|employer|company|start-?up|team|stack|deadline|licen[cs]e"
    r"|religion|star sign|zodiac sign|hobby|hobbies|diet|instrument)"
)
_JOB = (
    r"(?:nurse|student|lawyer|chef|cook|pilot|musician|physician|technician|freelancer|contractor"
    r"|parent|mom|mum|dad|mother|father|vet|veteran|judge|clerk|consultant|accountant|assistant"
    r"|architect|analyst|artist|journalist|scientist|dentist|pharmacist|therapist|biologist|chemist"
    r"|economist|psychologist|electrician|librarian|politician|intern|graduate|widow|widower"
    r"|engineer|teacher|manager|designer|developer|programmer|writer|driver|farmer|baker|carpenter"
    r"|plumber|lecturer|researcher|founder|owner|photographer|painter|singer|dancer|actor|doctor"
    r"|professor|director|editor|author|translator|instructor|counsell?or|tutor|surgeon|banker"
    r"|firefighter|volunteer|mechanic|barista|waiter|waitress|soldier|nanny|christian|muslim"
    r"|jewish|buddhist|hindu|atheist)"
)

PATTERNS = {
    "asked": (
        r"(?:^(?:and |but |so |ok(?:ay)?,? |hey,? )*|[,;:.!-] ?|\b(?:please|also|you (?:should|must)) )"
        r"(?:(?:remember|note|keep in mind|bear in mind|don'?t forget|do not forget|make a note"
        r"|take note|write down|memori[sz]e)(?: that| of|:)? ?(?=(?:that|the|my|our|i|i'm|i've|we|we're"
        r"|we've|this|there|it's|he|she|(?-i:[A-Z¤0-9][\w']*))\b)(?!(?:the (?:time|day|good)|when|how|those|this is|that(?:'s)?"
        r" (?:you|staying|being|sometimes|anything|there(?:'s| is) always)|i'm (?:always )?here|you|me)\b)"
        r"|(?:remember|don'?t forget|do not forget) to (?!(?:take|pause|breathe|rest|enjoy|have|be|stay"
        r"|prepare|smile|relax|reflect|keep|follow|look|live|love|believe|celebrate|stop|thank)\b)"
        r"|for the record,|fyi,?)"
    ),
    "correction": (
        r"^(?:oh,? |wait,? |sorry,? |hm+,? )*(?:correction\b|scratch that|no[,.]? (?:i (?:meant|said"
        r"|mean)|it'?s|my|the|we|that(?:'s| is) (?:wrong|not right))|actually,? (?:it'?s|it is|it was"
        r"|my|our|the|i'm (?:not )?(?:from|called|in|a)|we're|that(?:'s| is| was))"
        r"|i (?:misspoke|mistyped|was wrong|made a mistake|got (?:that|it) wrong|mixed (?:that|it|them) up|meant (?!to\b|it\b|a lot|every))"
        r"|that(?:'s| is| was) (?:wrong|incorrect|not (?:right|correct|true))[,:;.-]+ ?\w)"
        r"|\bi meant [^,.;]+, not "
    ),
    "name": (
        r"\bmy (?:(?:full|first|last|real|middle|user) ?)?name(?: is|'s) (?!not\b)\S"
        r"|\b(?:i'm called|i am called|i go by|(?:people|folks|friends|family|colleagues|kids|they) (?:just |all |usually )?call me"
        r"|every(?:one|body) (?:just )?calls me|you (?:can|may) call me|please call me) (?!back|later|when|if|at\b|on\b)"
        r"|^(?:just )?call me (?-i:[\"“']?[A-Z¤])|\bmy pronouns are "
    ),
    "health": (
        rf"\b(?:allergic to|allerg(?:y|ies) to|lactose[- ]intolerant|gluten[- ]intolerant"
        rf"|intolerant (?:to|of))|{_I_AM}{_ADVERBS}(?:not |no longer )?(?:an? )?(?:\w+ )?(?:vegan|vegetarian|pescatarian"
        rf"|diabetic|epileptic|asthmatic|gluten[- ]free|dairy[- ]free|celiac|coeliac|colou?r-?blind|dyslexic|deaf|blind|pregnant"
        rf"|autistic|teetotal|disabled|kosher|halal|sober)\b"
        rf"|\bi(?: always| usually| often)? (?:get|break out in|come out in) (?:\w+ )?(?:hives|an? rash|migraines|sick|seasick"
        rf"|carsick|airsick|headaches|nauseous|dizzy|cramps|stomach ?aches?) (?:from|when|on|if|after|whenever|in)\b"
        rf"|\bmakes? me (?:\w+ )?(?:sick|ill|nauseous|dizzy|itch|sneeze)\b|{_I}(?:(?:can't|cannot|mustn't) have|(?:can't|cannot|don't|do not|never|no longer|mustn't) (?:eat|drink)) (?!enough|well"
        rf"|much|a (?:clue|problem|doubt|choice)|any(?:thing)?\b(?! with)|time|to\b|it\b|that\b|the)\w"
        rf"|\bi(?:'ve)? (?:have had|had|have|suffer from|was diagnosed with|'ve got|take|was born with) (?:\w+ ){{0,3}}"
        rf"(?:diabetes|asthma|migraines?|epilepsy|allergy|allergies|arthritis|adhd|insomnia|anxiety"
        rf"|depression|insulin|medication|disorder|syndrome|cancer|high blood pressure|dyslexia)\b"
    ),
    "instruction": (
        r"^please (?:use|avoid|include|format|round|spell|cite|address) (?!this|that|it\b|the (?:following|attached|above))|"
        r"\b(?:don't|do not) ever (?!wanna|want|feel|quit|forget|give up|stop)|\b(?:from now on|from here on"
        r"|from today(?: on)?|henceforth),? |(?:^|[,;] )(?:going forward|in (?:the )?future|next time),? "
        r"(?!(?:i|we|you|it|that|there|they|he|she|maybe)\b)"
        r"|(?:^|[;:] ?|\b(?:please|you (?:should|must)|make sure (?:to|you)|be sure to) )(?:always (?!\w+ing\b|(?:a|an|the|nice|good|great|fun|happy|here|there|been|wanted|loved|love"
        r"|looking|something|so|remember|interesting|down|up|nice|thought|felt|feel|worth)\b)(?:[a-z]+ss|[a-z]*[a-rt-z])\b"
        r"|never(?! ?mind| been\b| heard\b| seen\b| knew| thought| tried| had\b| did\b| again\b"
        r"| too\b| before| really| felt| met\b| done\b| a\b| the\b| in\b| ever\b| give up| quit\b| sa[wy]\b"
        r"| stop (?:dreaming|learning|believing)) (?:[a-z]+ss|[a-z]*[a-rt-z])\b)"
        r"|^(?:please )?stop (?:using|adding|doing|asking|calling|saying|sending|putting|writing"
        r"|making|giving|showing|including|suggesting|telling|apologi[sz]ing|explaining)"
        r"|\b(?:please )?(?:don't|do not) .{3,80}\b(?:again|any ?more|unless|without (?:asking|my))\b"
        r"|\b(?:whenever|every time|each time|any time) (?:you (?!need|want|feel|go|can|like|are ready|get|have|see)|i (?:ask|say|send|write|mention))\b"
        r"|^(?:when|while|before|after|if) (?:you|i (?:ask|say|send|write)) [^,]{3,60}, (?:please |always |never |just )?"
        r"(?:use|don't|do not|avoid|answer|reply|write|put|add|include|keep|start|end|give|send|show|make|ask|check"
        r"|always|never|please)\b"
        r"|^(?:please,? )?(?:don't|do not) (?!(?:worry|mind|be|you|i|we|know|think|get|stress|give up|forget|hesitate"
        r"|feel|let|sweat|bother|panic|like|want|have|need|see|really|even|miss|lose|stop|give|ever give|quit|tell me"
        r"|judge|rush|beat|take|go|do)\b)[a-z]+ \w+ \w+"
        r"|^(?:please,? )?keep (?:your|all|the (?:answers?|repl|tone|summar|text|emails?)|answers|replies|it (?:short|brief"
        r"|simple|formal|under|below)) |^(?:please,? )?(?:answer|reply|respond|write|speak|talk)(?: to me| back)? (?:only )?"
        r"(?:in|with|using|briefly) (?!this|that|the (?:next|follow))|^(?:please,? )?no more \w+|^(?:please,? )?be (?:more )?"
        r"(?:brief|concise|honest|direct|blunt|formal|polite)\b|\bi (?:don't|do not|never) want you to \w+"
        r"|^(?:please,? )?use (?!this|that|it\b|the following)[^,]+(?:, not | instead of | rather than |\bonly\b|\bfor all\b|\beverywhere\b)"
        r"|\bi (?:want|need|expect|'d like) you to (?:always|never)"
        r"|^(?:please )?(?:only|always|never) (?:use|answer|reply|respond|write|speak|send|call|email"
        r"|show|ask|include|recommend|suggest|book|buy) "
    ),
    "decision": (
        r"\b(?:made up (?:my|our) minds?)\b|^(?:ok(?:ay)?,? )?(?:scrap|cancel|drop|ditch) (?:the|our|my|all) \w+"
        r"|\b(?:i'm|we're|i am|we are) (?!not\b)[^,.]{3,60} instead\b|"
        rf"\b(?:i|we)(?:'ve| have)? ended up (?:choosing|going with|picking|buying|taking|with|ordering|booking)\b"
        rf"|\b(?:i'm|we're|i am|we are|we'll be|i'll be) (?:going ahead|moving (?:ahead|forward)|sticking) with\b"
        rf"|\b(?:i'm|we're|i am|we are) not (?:going to (?:renew|buy|sell|take|use|accept|attend|sign|move|hire)|(?:renewing"
        rf"|buying|selling|taking|accepting|attending|signing|moving|hiring|inviting))\b"
        rf"|{_I}(?:have |'ve |had )?{_ADVERBS}(?:decided|agreed|settled on|chose|opted|concluded"
        rf"|voted|resolved|picked(?! (?:this|that|it|up|a|an|some|one)\b)) |\b(?:i've|we've) {_ADVERBS}(?:decided|agreed|settled on|chosen"
        rf"|opted|picked|concluded|made up (?:my|our) minds?) "
        rf"|\blet(?:'?s| us) (?:just )?(?:go with|use|stick (?:with|to)|take (?!a\b|it|care|turns|that|this|some|one)|book|choose|pick|switch"
        rf"|schedule|move (?:it|the)|make it (?!happen|count|work|fun|special)|settle (?:on|for)|keep (?:the|it at|it to)"
        rf"|postpone|cancel|drop|order|buy|set (?:it|the))\b"
        rf"|\b(?:i'll|we'll|i will|we will|i'm|we're|we are|i am) {_ADVERBS}(?:go(?:ing)? (?:with|for"
        rf" the)|stick(?:ing)? (?:with|to)|us(?:e|ing) .+ (?:instead|from)|switch(?:ing)? to"
        rf"|cancel(?:l?ing)?|postpon(?:e|ing)|dropping) (?!you\b|my (?:kids|friends|family))"
        rf"|\b(?:the |our |my )?(?:final )?decision(?: is|:)|\bit(?:'s| is) (?:decided|settled|final)\b"
        rf"|\b(?:the|our) (?:team|board|group|committee|family|company|client|management) (?:has |have )?"
        rf"(?:decided|agreed|chose|chosen|approved|voted)\b|\bmade (?:up my mind|the decision) (?:to|on)"
        rf"|\bwe(?:'ve| have)? (?:approved|rejected|signed off|ruled out|finali[sz]ed)\b"
    ),
    "preference": (
        r"\bmakes? me (?:\w+ )?(?:anxious|nervous|uncomfortable|stressed|calm|claustrophobic|homesick|relaxed|grumpy)\b|"
        rf"{_I}{_ADVERBS}(?:would )?(?:prefer|love|like|enjoy|hate|dislike|loathe|adore|favou?r"
        rf"|despise|fancy|avoid)(?:ed)? (?!(?:to (?:see|hear|know|say|think|thank|ask|hear)|it\b"
        rf"|this|that\b|you|your|these|those|the (?:idea|way|sound|look|vibe|color|colour|part)"
        rf"|to[.!]*$|was|were|is|are|so|and|because|too|how|where|him|her\b|his\b|their|them|all (?:the|these|those)|(?:having|being with|spending"
        rf" time with) (?:them|him|her|it|you)|seeing (?:you|your|that|how|them)|hearing|what|chatting|talking to you"
        rf"|when you|me\b|both of you|a\b(?= (?:table|room|coffee|cup|glass|refund|quote|copy)))\b)"
        rf"|\b(?:i|we) (?:don't|do not|didn't|never|no longer|doesn't) {_ADVERBS}(?:like|enjoy|eat"
        rf"|drink|want|care for|use|watch|wear|fly|drive|smoke|trust) (?!it\b|this|that\b|you|your"
        rf"|to (?:see|hear|be|think|say|bother|miss|worry|know|wait|go|forget|leave|lose|let|make|hurt|do)|how|them"
        rf"|any(?:one|thing)|the (?:idea|way|sound|look))\w"
        rf"|\b(?:i'd|i would|we'd) (?:much |really |far |always )?(?:rather|prefer) (?!not\b(?: say)?\.?$)"
        rf"|\bmy (?:(?:all-time|personal|absolute|two|very|least) )*(?:favou?rites?|preferred|preference"
        rf"|go-to|pet peeves?)(?: [\w'-]+){{0,4}} (?:is|are|has always been|would be)\b(?! (?:it|that)\b)"
        rf"|\b(?:is|are|isn't|aren't|not)(?: really)? my (?:preference|first choice|go-to|thing|style|cup of tea|jam"
        rf"|top pick|comfort food|pet peeve)\b|\bi (?:can't|cannot) (?:start|function|live|sleep|work|eat|go|study"
        rf"|think) (?:\w+ ){{0,3}}without|\b(?:i've|we've|i have|we have) (?:never|always) (?:really )?(?:liked|loved"
        rf"|hated|enjoyed|preferred|wanted|been (?:a fan|into|keen|fond|afraid|scared))|{_I_AM}(?:really |so |very )?"
        rf"(?:terrified|afraid|scared) of (?!losing you|it\b|that\b|what)|\bdrives? me (?:crazy|nuts|mad|up the wall)\b"
        rf"|\bi find \w+ing [\w ]{{0,30}}(?:boring|annoying|relaxing|stressful|exhausting|tedious)"
        rf"|(?<!it)(?<!that)(?<!this) (?:is|are)(?: one of)? my (?:all-time |absolute )?favou?rites?\b"
        rf"|\b(?:i|we) (?:can't|cannot|can not) (?:stand|bear|tolerate|handle|get enough of|live without)"
        rf" (?!it\b|that\b|you)|{_I_AM}{_ADVERBS}(?:not )?(?:really )?(?:a )?(?:(?:big|huge|avid|massive|real|total"
        rf"|lifelong) )*(?:fan of|fond of|keen on|into (?!it\b|that\b)|obsessed with|passionate about"
        rf"|crazy about|addicted to|hooked on|a sucker for|partial to|(?:much of )?an? (?:[\w-]+ )?(?:lover|person"
        rf"|enthusiast|addict|fanatic)\b)(?! (?:it|that|this)\b(?![ -]\w))"
        rf"|{_I}(?:always|usually|only|never|mostly|generally|normally|typically) "
        rf"(?:eat|drink|wear|buy|order|fly|take|use|watch|read|listen|cook|sit|sleep|travel|drive|pay"
        rf"|shop|choose|pick|go for|work|stay) "
    ),
    "appointment": (
        rf"\b(?:i|we)(?:'ve got| have| got|'ve)(?: an?| my| our| the| another)?(?: [\w']+){{0,3}} "
        rf"(?:appointment|meeting|interview|exam|test|flight|surgery|operation|reservation|booking"
        rf"|deadline|class|lesson|concert|wedding|trip|check-?up|audition|presentation|game|date"
        rf"|session|show|party|tournament|race|performance|conference|recital|event)\b(?=.*{_WHEN})"
        rf"|\b(?:my|our|the)(?: [\w']+){{0,3}} (?:appointment|meeting|interview|exam|flight|surgery"
        rf"|deadline|train|wedding|trip|due date|presentation|party|concert|conference|move)(?: to [\w']+"
        rf"| with [\w']+| for [\w']+)? (?:is|are|leaves|departs|starts|begins|takes place|'s)\b"
        rf"(?=.*{_WHEN})|(?:^|[,;.!] |\b(?:please|and|can you|could you) )remind me (?:to|about|that|in|on|at|every|tomorrow)\b"
        rf"|(?:^|[,;.!] |\bplease )remind me\b(?=.*{_WHEN})"
    ),
    "promise": (
        rf"\b(?:i|we) (?:promise|swear|vow|guarantee|pledge)d? (?!you\.)(?:you )?(?:to|that|i|we|it)\b"
        rf"|\b(?:i|we)(?:'ll| will| shall|'m going to| am going to|'re going to| are going to|'m gonna"
        rf"| have to| need to| must|'ve got to| plan to| intend to|'m planning|'re planning|'m about to"
        rf"|'m supposed to|'m meeting|'re meeting|'m flying|'re flying|'m traveling|'m travelling"
        rf"|'m leaving|'m starting|'m visiting|'re visiting|'m moving|'re moving|'m hosting|'m taking"
        rf"|'re going|'m going|'re hosting|'re getting|'m performing|'m competing) "
        rf"(?!(?:let you know|see you|talk to you|be (?:right )?back|catch up|keep you|check it out)\b)"
        rf"(?=.*{_WHEN})\w"
    ),
    "goal": (
        r"\b(?:i'm|we're|i am|we are|i've been) trying to (?:lose|quit|learn|save|improve|become|find|stop|eat|sleep"
        r"|run|write|finish|build|reduce|cut|get (?:into|better|a)) |"
        rf"\b(?:my|our) (?:\w+ )?(?:goals?|dream|aim|ambition|plan|resolution|bucket list)s?"
        rf"(?: for [\w ]+)? (?:is|are|has been|was|includes?)\b(?! (?:on|com|going|com|coming)\b)"
        rf"|{_I_AM}{_ADVERBS}(?:saving(?: up)?|training|preparing|studying|practi[sc]ing|looking"
        rf"|hoping|applying|working towards?|aiming|planning|thinking of|considering|searching|hunting)"
        rf"(?: up| hard| to| for| on| a| an| my)+ (?!(?:it|that|this|you|your|hear|see|seeing)\b)\w"
        rf"|\b(?:i|we)(?:'d| would)? {_ADVERBS}(?:want|hope|plan|intend|aim|aspire|dream|love)d? "
        rf"(?:to (?:become|learn|start|build|write|open|run|lose|get (?:a|into|better|my)|visit|travel"
        rf"|study|move|buy|create|make a|find|improve|help|adopt|own|retire|finish|publish|be an?\b"
        rf"|work|pursue|expand|launch)|of (?:becoming|opening|owning|being)) "
    ),
    "home": (
        rf"\b(?:my|our) (?:family|parents|ancestors)(?: \w+)? (?:is|are|comes?|came|lives?|moved)(?: \w+)? (?:from|in|to)\b"
        rf"|\bi (?:originally )?(?:come|came) from (?!work|there|here|the)|{_I}{_ADVERBS}(?:live|lived|stay|reside|grew up|settled|relocated|immigrated|emigrated)"
        rf" (?:in|at|near|on|with|here|to|from|by|outside|alone|close)\b(?! the (?:moment|present))"
        rf"|\b(?:i've|we've|i have|we have) {_ADVERBS}(?:lived|moved|been living|relocated) "
        rf"|\b(?:i|we) {_ADVERBS}moved (?:(?:in|out|back|away|here|over|house|to|into|from)\b)(?! on\b)"
        rf"|{_I_AM}{_ADVERBS}(?:originally )?(?:from (?!now|the (?:start|looks))|based (?:in|out)"
        rf"|living (?:in|at|with|on|near|alone)|moving (?:to|in|into|out)|relocating|staying (?:in|at))"
        rf" ?(?!the moment)|\b(?:i was|we were|i'm) (?:born|raised) "
        rf"|\bmy home ?(?:town|country)(?: is|,)"
    ),
    "work": (
        rf"\b(?:i've|we've|i have|we have) {_ADVERBS}(?:worked|taught|studied|volunteered|interned) (?:at|for|as|in|since)\b|"
        rf"{_I}{_ADVERBS}(?:work|worked|intern|freelance|volunteer|volunteered|teach|taught|study"
        rf"|studied|major|majored) (?:at|for|as|in|from home|part[- ]time|full[- ]time|remotely)\b"
        rf"(?! (?:it|that|this|progress|my mind))"
        rf"|\b(?:i|we) {_ADVERBS}(?:run|own|manage|founded|co-founded|lead|started|opened) (?:a|an|my"
        rf"|our|the)(?: own)?(?: \w+){{0,3}} (?:company|business|team|shop|store|studio|restaurant|"
        rf"start-?up|farm|project|agency|club|group|school|blog|channel|bakery|caf[eé]|foundation)\b"
        rf"|{_I_AM}{_ADVERBS}(?:an? )(?!bit\b|little\b|big\b|huge\b)(?:[\w-]+ ){{0,3}}{_JOB}\b(?!'s)"
        rf"|{_I_AM}{_ADVERBS}(?:working (?:as|at|for|in)\b|studying(?! hard)|majoring|retired\b"
        rf"|unemployed|self-employed|(?:\w+ )?in (?:charge of|my (?:first|second|third|final|last) year)"
        rf"|responsible for|between jobs)"
        rf"|\bi {_ADVERBS}(?:graduated|retired|resigned|got (?:laid off|hired|fired|promoted))\b"
        rf"|\b(?:my|our) (?:job|role|team|company|business|major|position)(?: is|'s| at| uses)\b"
        rf"(?! (?:so|going|stress|really|great|killing|tough|hard|keep))"
    ),
    "people": (
        rf"\b(?:my|our)(?: (?:\w+|best|oldest|little|big)){{0,2}} {_KIN}(?:'s (?:an?|in|at|from|called|allergic|name|birthday|e-?mail|number|favou?rite)\b|, (?-i:[A-Z])| (?:is|are|was|lives?|works?"
        rf"|has|have|was born|just|name|turned|turns|loves?|hates?|likes?|prefers?|studies|passed|died"
        rf"|started|got|named|called|and i (?:live|are|have|got|were|moved))\b)"
        rf"(?! (?:right|so\b|getting|our\b|amazing|great|awesome|fine|here|okay|ok)\b)"
        rf"|\b(?:my|our|the new)(?: \w+){{0,2}} {_ABOUT_ME}(?: number| address)? ?(?:is|are|'s|:|=)"
        rf"(?! (?:so|going|great|good|fine|okay|ok|really|stress|amazing|killing|a mess|broken)\b)"
        rf"|\b(?:i|we)(?:'ve got| have| own|'ve| had| also have| got)"
        rf" (?:an?|two|three|four|five|six|seven|[0-9]+|no|twin|another|one)"
        rf" (?:\w+ ){{0,3}}(?:{_KIN}s?|pets|chickens|rabbits?|hamsters?|fish|turtles?|parrots?|snakes?"
        rf"|degree|phd|licen[cs]e|house|apartment|car|garden|farm|tattoos?)\b"
        rf"|{_I_AM}{_ADVERBS}(?:married|single|divorced|engaged|widowed|bilingual|left-handed"
        rf"|[0-9]{{1,3}}(?: years old)?(?=[ .,!]|$)(?! ?(?:%|minutes|min|percent|miles|km|hours))"
        rf"|expecting|a (?:single|proud|new) (?:mom|mum|dad|parent|mother|father)|the (?:oldest|youngest"
        rf"|only|middle)|\w+ years old)|\bi (?:speak|play|know how to play) (?!to\b|with\b|about\b|up\b)"
    ),
    "event": (
        rf"{_CLAUSE}(?:i|we)(?:'ve| have)? {_ADVERBS}(?:got (?:married|engaged|divorced|a new|my|accepted"
        rf"|into|an? (?:offer|dog|cat|puppy|kitten|raise|tattoo|job|promotion|degree)|our)|adopted"
        rf"|bought|sold|signed up|enrolled|joined|passed|failed|won|lost|broke|finished|completed"
        rf"|quit|quitted|stopped|started|began|launched|published|released|opened|graduated|proposed"
        rf"|gave birth|gave up|had (?:a baby|surgery|an? (?:accident|operation|interview|miscarriage))"
        rf"|took up|picked up|learned|learnt|visited|traveled|travelled|went|ran|built|founded|created"
        rf"|attended|met|wrote|painted|inherited|hosted|organi[sz]ed|volunteered|donated|celebrated"
        rf"|performed|competed|achieved|earned|received|booked|ordered|hired|divorced|separated|invested"
        rf"|switched|upgraded|injured|sprained|hurt my|recovered|applied|accepted|declined|flew|drove)"
        rf" (?!(?:it|that|this|you|your|so|up with|through|of|my mind|sure|out of|track|touch|ahead|for it"
        rf"|from|thinking|feeling|to (?:see|think|feel|realize|have|do|be)|crazy|nuts|all out|well)\b)\w"
    ),
    "habit": (
        rf"\b(?:i|we)(?:'ve| have)? {_ADVERBS}(?:been )\w+ing\b.{{0,80}}\b(?:for (?:\w+ ){{0,3}}"
        rf"(?:years?|months?|weeks?|decades?|ages)|since)\b"
        rf"|\b(?:i|we) \w+ .{{0,60}}\b(?:every (?:day|week|morning|evening|night|weekend|month|year"
        rf"|{_DAY})|(?:once|twice|[0-9]+ times|three times) a (?:day|week|month|year)|on {_DAY}s)\b"
        rf"|\b(?:i|we) (?:used to|stopped|quit) (?:be an?|live|work|play|smoke|drink|have|own|eat"
        rf"|smoking|drinking|eating|working|playing|using) "
    ),
}

# Questions, suppositions, what others said, and tasks about text.
VETO = (
    r"\?[\"')\]*]*\s*$|^\W*(?:and |but |so |or |well,? |hey,? )?(?:who|what|when(?= (?:is|are|do|did|does|will|can|should|was|were)\b)|where|why|which|how|do|does|did|is|are|am|was|were|can|could|would|will|should|shall|have (?:you|we|i|they)|has|may i|might)\b(?! (?:i|we) do)|\b(?:if (?:i|we|you|he|she|they|it|my|our|only|someone)\b(?! (?:ask|say|forget|call))|what if|suppos(?:e|ing)\b|imagine|pretend|hypothetical|let's say|assum(?:e|ing)|as if|as though|wish (?:i|we)|wonder(?:ed|ing)?\b|maybe|perhaps|might\b|i guess|not sure|don't know|no idea|i (?:would|could)(?:'ve| have)\b|i'd have|should've|could've|thinking (?:about|of) maybe)|\b(?:he|she|they|it|who|someone|somebody|people|everyone|[a-z]+|the \w+|(?-i:[A-Z][a-z]+)) (?:said|says|told (?:me|us|him|her|them)|claims?|claimed|wrote|writes|mentioned|reported|thinks|asked|replied|explained)\b(?<!i said)(?<!we said)(?<!i mentioned)(?<!we asked)(?<!i asked)"
    r"|\b(?:according to|for example|for instance|e\.g\.|such as \"|in the (?:story|novel"
    r"|movie|film|book|game|song)|the (?:article|author|character|narrator|text|speaker) )"
    r"|\b(?:translate|rewrite|rephrase|paraphrase|proofread|summari[sz]e|spell-?check|grammar"
    r"|(?:write|compose|draft|generate) (?:me )?(?:a|an|some|the|\w+ lines))\b"
    r"|\b(?:just )?(?:kidding|joking)\b"
)
# What follows is another's: forwarded mail, an article, a text to work on.
PASTED = (
    r"^\s*(?:from|to|subject|sent|date|cc):\s|-{3,} ?(?:forwarded|original)|\bforwarded message"
    r"|\b(?:translate|rewrite|rephrase|paraphrase|proofread|summari[sz]e|correct|edit|review|check"
    r"|analy[sz]e|classify|explain|fix|improve|read)\b[^.!?\n]*:\s*$|\b(?:here(?:'s| is| are)|this is|see"
    r"|below is|following is|i (?:got|received|found)|he|she|they) [^.!?\n]*(?:e-?mail|message|letter"
    r"|article|text|review|post|quote|lyrics|transcript|log|wrote|comment|reply|draft|paragraph|poem"
    r"|story|note|said)[^.!?\n]{0,40}:"
)
LEANING = (
    r"^[^\w\u3400-\u9fff]*(?:and |but |so )?(?:it|it's|its|that|that's|this|these|those|they|they're|their|them|she"
    r"|she's|he|he's|her|his|him|there|both|neither|one of them|the (?:former|latter|first|second))\b"
    r"|^[^\w\u3400-\u9fff]*(?:yes|yeah|yep|no|nope|sure|exactly|same)\b"
)
