// SPDX-License-Identifier: MIT
/** Every sentence of the page, one table per language. The browser's preference picks one. */
const en = {
    tagline: 'Pick a name and talk. No account needed.',
    yourName: 'Your name',
    nameHint: 'Others see it next to your messages.',
    nameMissing: 'Type a name first.',
    enter: 'Join',
    enterRoom: (title: string) => `Join #${title}`,
    saveName: 'Save',
    cancel: 'Cancel',
    changeName: 'Change name',
    rooms: 'Rooms',
    members: 'Members',
    openRooms: (unread: number) => (unread > 0 ? `Open rooms, ${unread} unread` : 'Open rooms'),
    openMembers: (count: number) => `Members, ${count}`,
    close: 'Close',
    newRoom: 'Join or create a room',
    newRoomProblem: {
        empty: 'Type the title of a room.',
        long: 'That title is too long.',
        many: 'You are in too many rooms. Leave one first.',
    },
    leave: (title: string) => `Leave #${title}`,
    follow: (title: string) => `Follow #${title}: keep what is unread while you are away`,
    unfollow: (title: string) => `Stop following #${title}`,
    notFollowed: (reason: string) => `Not followed: ${reason}`,
    unread: 'unread',
    here: (count: number) => (count === 1 ? '1 person here' : `${count} people here`),
    online: (count: number) => `Online — ${count}`,
    andMore: (count: number) => `and ${count} more`,
    you: 'you',
    noRoom: 'No room is open.',
    noRoomHint: 'Type a title on the left to join or create one.',
    skip: 'Skip to the message field',
    theme: { system: 'Theme: as the system', light: 'Theme: light', dark: 'Theme: dark' },
    connection: {
        idle: 'Not connected', connecting: 'Connecting', connected: 'Connected', lost: 'Reconnecting', refused: 'Disconnected',
    },
    bannerConnecting: 'Connecting…',
    bannerTrying: 'Connection lost. Trying again… Messages you send will wait.',
    bannerLost: (seconds: number) => `Connection lost. Trying again in ${seconds} s — messages you send will wait.`,
    bannerUnreachable: (host: string, seconds: number) =>
        `${host} does not answer. Trying again in ${seconds} s — messages you send will wait.`,
    bannerRefused: (reason: string, code: number) => `The gateway closed the connection: ${reason} (${code}).`,
    bannerHeld: 'The gateway cannot pass messages on right now. What you send waits and goes out by itself.',
    bannerBack: 'Back online.',
    tryNow: 'Try now',
    reconnect: 'Reconnect',
    log: (title: string) => `Messages in ${title}`,
    loadOlder: 'Load older messages',
    loadingOlder: 'Loading…',
    loadFailed: 'Messages could not be loaded.',
    retry: 'Retry',
    edit: 'Edit',
    remove: 'Delete',
    redacted: 'This message was removed.',
    trimmed: 'Older messages are no longer kept.',
    beginning: (title: string) => `This is the beginning of #${title}`,
    beginningHint: 'Say something — anybody who opens this room can read it.',
    noHistory: 'This room keeps no history: you see what is said while you are here.',
    gap: {
        hole: 'Some messages are missing here.',
        lost: 'Messages are missing here and can no longer be loaded.',
        break: 'The room started anew. Messages may be missing here.',
    },
    gapLoad: 'Load them',
    jumpLatest: 'Jump to latest',
    newMessages: (count: number) => (count === 1 ? '1 new message' : `${count} new messages`),
    today: 'Today',
    yesterday: 'Yesterday',
    sending: 'Sending…',
    waiting: 'Waiting for connection…',
    waitingHeld: 'Waiting for the gateway…',
    notSent: (reason: string) => `Not sent: ${reason}`,
    failure: {
        stale: 'it waited too long.',
        102: 'there is no such room.',
        103: 'you may not write here.',
        106: 'a limit is reached.',
        107: 'the gateway does not accept it.',
        108: 'this is not available.',
    } as Record<string | number, string>,
    failureOther: (message: string, code: number) => `${message} (${code}).`,
    roomRefused: (title: string) => `#${title} could not be opened:`,
    message: (title: string) => `Message #${title}`,
    send: 'Send message',
    reminders: 'Reminders that are set',
    reminderAt: (day: string, time: string) => `${day} ${time}`,
    reminderFailed: (reason: string) => `Not set: ${reason}`,
    reminderLimit: 'too many are set already, it is too long, or too far ahead.',
    commandUsage: '/remind in 10m text, or /remind 09:00 text',
    commandUnknown: (name: string) => `There is no /${name}. Type // to say a slash.`,
    undo: 'Undo',
    keys: 'Enter to send · Shift+Enter for a new line',
    tooLong: (over: number) => `${over} characters too long`,
    left: (count: number) => `${count} characters left`,
    typing: (names: readonly string[]) => {
        const [a = '', b = ''] = names;
        if (names.length === 0) return '';
        if (names.length === 1) return `${a} is typing…`;
        if (names.length === 2) return `${a} and ${b} are typing…`;
        return `${a} and ${names.length - 1} others are typing…`;
    },
};

export type Strings = typeof en;

const ko: Strings = {
    tagline: '이름만 정하면 바로 이야기할 수 있어요. 계정은 필요 없습니다.',
    yourName: '이름',
    nameHint: '다른 사람에게 메시지 옆에 표시됩니다.',
    nameMissing: '먼저 이름을 입력하세요.',
    enter: '들어가기',
    enterRoom: (title) => `#${title} 들어가기`,
    saveName: '저장',
    cancel: '취소',
    changeName: '이름 바꾸기',
    rooms: '방',
    members: '멤버',
    openRooms: (unread) => (unread > 0 ? `방 목록 열기, 안 읽음 ${unread}개` : '방 목록 열기'),
    openMembers: (count) => `멤버 ${count}명`,
    close: '닫기',
    newRoom: '방 들어가기 또는 만들기',
    newRoomProblem: {
        empty: '방 이름을 입력하세요.',
        long: '방 이름이 너무 깁니다.',
        many: '들어가 있는 방이 너무 많습니다. 먼저 하나를 나가세요.',
    },
    leave: (title) => `#${title} 나가기`,
    follow: (title) => `#${title} 팔로우: 자리를 비운 동안 안 읽은 메시지를 기억합니다`,
    unfollow: (title) => `#${title} 팔로우 그만하기`,
    notFollowed: (reason) => `팔로우하지 못함: ${reason}`,
    unread: '안 읽음',
    here: (count) => `${count}명 있음`,
    online: (count) => `접속 중 — ${count}`,
    andMore: (count) => `외 ${count}명`,
    you: '나',
    noRoom: '열린 방이 없습니다.',
    noRoomHint: '왼쪽에 방 이름을 입력해 들어가거나 만드세요.',
    skip: '메시지 입력란으로 건너뛰기',
    theme: { system: '테마: 시스템 설정', light: '테마: 밝게', dark: '테마: 어둡게' },
    connection: {
        idle: '연결 안 됨', connecting: '연결 중', connected: '연결됨', lost: '다시 연결하는 중', refused: '연결 끊김',
    },
    bannerConnecting: '연결하는 중…',
    bannerTrying: '연결이 끊겼습니다. 다시 시도하는 중… 보낸 메시지는 기다립니다.',
    bannerLost: (seconds) => `연결이 끊겼습니다. ${seconds}초 후 다시 시도합니다. 보낸 메시지는 기다립니다.`,
    bannerUnreachable: (host, seconds) => `${host}이(가) 응답하지 않습니다. ${seconds}초 후 다시 시도합니다.`,
    bannerRefused: (reason, code) => `게이트웨이가 연결을 닫았습니다: ${reason} (${code}).`,
    bannerHeld: '지금은 게이트웨이가 메시지를 전달하지 못합니다. 보낸 메시지는 기다렸다가 저절로 전송됩니다.',
    bannerBack: '다시 연결되었습니다.',
    tryNow: '지금 시도',
    reconnect: '다시 연결',
    log: (title) => `${title}의 메시지`,
    loadOlder: '이전 메시지 불러오기',
    loadingOlder: '불러오는 중…',
    loadFailed: '메시지를 불러오지 못했습니다.',
    retry: '다시 시도',
    edit: '고치기',
    remove: '삭제',
    redacted: '삭제된 메시지입니다.',
    trimmed: '더 오래된 메시지는 보관되지 않습니다.',
    beginning: (title) => `#${title}의 시작입니다`,
    beginningHint: '말을 걸어 보세요. 이 방을 여는 누구나 읽을 수 있습니다.',
    noHistory: '이 방은 기록을 남기지 않습니다. 머무는 동안의 대화만 보입니다.',
    gap: {
        hole: '여기에 빠진 메시지가 있습니다.',
        lost: '여기에 빠진 메시지가 있으며 더는 불러올 수 없습니다.',
        break: '방이 새로 시작되었습니다. 빠진 메시지가 있을 수 있습니다.',
    },
    gapLoad: '불러오기',
    jumpLatest: '최신 메시지로',
    newMessages: (count) => `새 메시지 ${count}개`,
    today: '오늘',
    yesterday: '어제',
    sending: '보내는 중…',
    waiting: '연결을 기다리는 중…',
    waitingHeld: '게이트웨이를 기다리는 중…',
    notSent: (reason) => `보내지 못함: ${reason}`,
    failure: {
        stale: '너무 오래 기다렸습니다.',
        102: '그런 방이 없습니다.',
        103: '여기에 쓸 권한이 없습니다.',
        106: '한도에 도달했습니다.',
        107: '게이트웨이가 받아들이지 않았습니다.',
        108: '사용할 수 없는 기능입니다.',
    },
    failureOther: (message, code) => `${message} (${code}).`,
    roomRefused: (title) => `#${title}을(를) 열 수 없습니다:`,
    message: (title) => `#${title}에 메시지 보내기`,
    send: '메시지 보내기',
    reminders: '예약된 알림',
    reminderAt: (day, time) => `${day} ${time}`,
    reminderFailed: (reason) => `예약하지 못함: ${reason}`,
    reminderLimit: '이미 너무 많거나, 너무 길거나, 너무 먼 시간입니다.',
    commandUsage: '/remind in 10m 내용, 또는 /remind 09:00 내용',
    commandUnknown: (name) => `/${name} 명령은 없어요. 빗금을 쓰려면 //로 시작하세요.`,
    undo: '취소',
    keys: 'Enter로 보내기 · Shift+Enter로 줄바꿈',
    tooLong: (over) => `${over}자 초과`,
    left: (count) => `${count}자 남음`,
    typing: (names) => {
        const [a = '', b = ''] = names;
        if (names.length === 0) return '';
        if (names.length === 1) return `${a} 님이 입력하는 중…`;
        if (names.length === 2) return `${a} 님과 ${b} 님이 입력하는 중…`;
        return `${a} 님 외 ${names.length - 1}명이 입력하는 중…`;
    },
};

const tables: Record<string, Strings> = { en, ko };

/** The first language of `wanted` that there is a table for. */
export function pickLanguage(wanted: readonly string[]): string {
    for (const tag of wanted) {
        const language = tag.toLowerCase().split('-')[0]!;
        if (Object.hasOwn(tables, language)) return language;
    }
    return 'en';
}

export const language = pickLanguage(globalThis.navigator?.languages ?? []);
export const t: Strings = tables[language]!;
