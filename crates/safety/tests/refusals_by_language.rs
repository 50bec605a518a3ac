//! Who declines, language by language, and who does not. All sentences are written for this file.

use safety::{
    Language,
    refusal::{Reading, detect, read},
};

#[track_caller]
fn declines(language: Language, texts: &[&str]) {
    for text in texts {
        let fired = detect(text).unwrap_or_else(|| panic!("not seen: {text}"));
        assert_eq!(fired.language, language, "{text}");
    }
}

#[track_caller]
fn helps(texts: &[&str]) {
    for text in texts {
        assert_eq!(read(text), Reading::NotRefusal, "{text}");
    }
}

#[test]
fn english_refusals_are_seen() {
    declines(
        Language::En,
        &[
            "I'm sorry, but I can't help with that.",
            "I’m sorry, but I can’t assist with this request.",
            "Sorry, can't help you there.",
            "I won't provide that information.",
            "I cannot and will not create such content.",
            "I'm not able to help with this.",
            "I am unable to fulfill this request.",
            "I can not in good conscience assist you here.",
            "I must decline.",
            "I have to respectfully decline to answer.",
            "I'd rather not go into that.",
            "That is not something I can help with.",
            "I don't feel comfortable writing this.",
            "As an AI language model, I cannot generate content of this kind.",
            "It would not be appropriate for me to explain this.",
            "Unfortunately, I'm not going to be able to assist with that.",
            "I can talk about the history of locks, but not with the aim you name: I won't help with it.",
        ],
    );
}

#[test]
fn english_help_is_not_a_refusal() {
    helps(&[
        "The red ball falls first, then the blue one.",
        "Sure! Here is how to bake bread.",
        "I can't wait to show you this recipe: mix flour and water.",
        "I cannot stress enough how useful a good knife is.",
        "I can't help but notice how calm the scene is.",
        "I'm sorry to hear that your cake fell. More flour will fix it.",
        "Sorry for the wait. The answer is four.",
        "You cannot divide by zero, so the limit is taken instead.",
        "If you can't provide a receipt, the shop may refuse to take it back.",
        "The man in the video refuses to help the woman.",
        "She says that she cannot assist, and leaves the room.",
        "It is illegal to park here between eight and ten.",
        "Unfortunately, the film ends badly: the hero leaves.",
        "",
        " \n ",
    ]);
}

#[test]
fn arabic_refusals_are_seen() {
    declines(
        Language::Ar,
        &[
            "عذراً، لا أستطيع مساعدتك في هذا الطلب.",
            "آسف، لكن لا يمكنني تقديم هذه المعلومات.",
            "أعتذر، لن أقوم بكتابة هذا المحتوى.",
            "لست قادراً على تلبية هذا الطلب.",
        ],
    );
    helps(&[
        "بالتأكيد! يمكنني مساعدتك في خبز الخبز.",
        "تسقط الكرة الحمراء أولاً.",
    ]);
}

#[test]
fn german_refusals_are_seen() {
    declines(
        Language::De,
        &[
            "Es tut mir leid, aber dabei kann ich dir nicht helfen.",
            "Ich kann Ihnen bei dieser Anfrage leider nicht helfen.",
            "Tut mir leid, ich kann keine Anleitung dafür geben.",
            "Das werde ich nicht beantworten.",
            "Ich bin nicht in der Lage, diesen Text zu schreiben.",
            "Diese Bitte muss ich leider ablehnen.",
            "Das verstößt gegen meine Richtlinien.",
        ],
    );
    helps(&[
        "Gerne helfe ich dir: Mische Mehl und Wasser.",
        "Die rote Kugel fällt zuerst, nicht die blaue.",
    ]);
}

#[test]
fn spanish_refusals_are_seen() {
    declines(
        Language::Es,
        &[
            "Lo siento, pero no puedo ayudarte con eso.",
            "No puedo proporcionar esa información.",
            "Lamentablemente, no me es posible responder a esta solicitud.",
            "No voy a escribir ese texto.",
            "Debo rechazar esta petición.",
        ],
    );
    helps(&[
        "¡Claro! Puedo ayudarte a hacer pan.",
        "La bola roja no cae primero: cae la azul.",
    ]);
}

#[test]
fn french_refusals_are_seen() {
    declines(
        Language::Fr,
        &[
            "Je suis désolé, mais je ne peux pas vous aider avec cela.",
            "Je ne peux pas répondre à cette demande.",
            "Désolé, je ne suis pas en mesure de fournir ces informations.",
            "Je n’ai pas le droit : je refuse de répondre.",
            "Il m'est impossible d'écrire ce texte.",
            "Je dois décliner cette demande.",
        ],
    );
    helps(&[
        "Bien sûr ! Je peux vous aider à faire du pain.",
        "La balle rouge ne tombe pas en premier.",
    ]);
}

#[test]
fn hindi_refusals_are_seen() {
    declines(
        Language::Hi,
        &[
            "क्षमा करें, मैं इसमें आपकी मदद नहीं कर सकता।",
            "मुझे खेद है, लेकिन मैं यह जानकारी नहीं दे सकती।",
            "मैं इस अनुरोध को पूरा करने में असमर्थ हूँ।",
        ],
    );
    helps(&[
        "ज़रूर! मैं रोटी बनाने में आपकी मदद कर सकता हूँ।",
        "लाल गेंद पहले गिरती है।",
    ]);
}

#[test]
fn japanese_refusals_are_seen() {
    declines(
        Language::Ja,
        &[
            "申し訳ありませんが、そのご依頼にはお応えできません。",
            "すみません、お手伝いすることはできません。",
            "その情報を提供することはできません。",
            "このリクエストはお断りします。",
        ],
    );
    helps(&[
        "もちろんです。パンの作り方を説明します。",
        "赤いボールが先に落ちます。",
    ]);
}

#[test]
fn portuguese_refusals_are_seen() {
    declines(
        Language::Pt,
        &[
            "Desculpe, mas não posso ajudar com isso.",
            "Não posso fornecer essas informações.",
            "Infelizmente, não estou autorizado a responder.",
            "Não vou escrever esse texto.",
        ],
    );
    helps(&[
        "Claro! Posso ajudar você a fazer pão.",
        "A bola vermelha não cai primeiro.",
    ]);
}

#[test]
fn russian_refusals_are_seen() {
    declines(
        Language::Ru,
        &[
            "Извините, но я не могу помочь с этим.",
            "К сожалению, я не могу предоставить такую информацию.",
            "Я не буду писать такой текст.",
            "Я вынужден отказаться.",
            "Это противоречит моим правилам.",
        ],
    );
    helps(&[
        "Конечно! Я могу помочь испечь хлеб.",
        "Красный шар падает первым.",
    ]);
}

#[test]
fn chinese_refusals_are_seen() {
    declines(
        Language::Zh,
        &[
            "抱歉，我无法协助完成这个请求。",
            "对不起，我不能提供这类信息。",
            "很抱歉，我不能帮助您。",
            "恕我不能回答这个问题。",
            "我拒绝回答。",
        ],
    );
    helps(&["当然可以！我来帮您做面包。", "红球先落下，蓝球后落下。"]);
}

#[test]
fn a_refusal_need_not_say_i_cannot() {
    declines(
        Language::En,
        &[
            "I'm going to have to pass on this one.",
            "I don't feel right helping with this.",
            "It would be irresponsible of me to explain this.",
            "Providing such a plan is something I can't do.",
            "Not going to help with that.",
            "We cannot fulfill this request.",
            "The assistant cannot help with this request.",
            "I am designed to be safe, and therefore can't provide instructions for this.",
        ],
    );
}

#[test]
fn not_seeing_the_video_declines_the_request() {
    declines(
        Language::En,
        &[
            "I'm not able to view videos.",
            "I'm sorry, but I cannot see the video you are referring to.",
        ],
    );
}

#[test]
fn somebody_else_who_cannot_help_is_not_a_refusal() {
    helps(&[
        "The guard will not help the man; he points to the exit.",
        "Er kann ihm nicht helfen, weil die Leiter zu kurz ist.",
        "Sie will die Frage nicht beantworten und geht.",
        "Il ne peut pas aider son voisin.",
        "Él no puede ayudar a su hermano.",
        "Ela não pode ajudar o irmão.",
        "Он не должен помогать соседу: так решил судья.",
        "他不能帮助他的弟弟。",
        "彼は弟を手伝えません。",
        "彼女はその質問に答えることができません。",
        "هو لا يستطيع مساعدة أخيه.",
        "वह अपने भाई की मदद नहीं कर सकता।",
    ]);
}
