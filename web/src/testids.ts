// SPDX-License-Identifier: MIT
/**
 * The hooks that browser tests hold on to. Every value is a `data-testid`; renaming one is a
 * change of contract.
 *
 * name-input     text field of the welcome screen (and of "change name")
 * join-button    submits the name
 * room-list      <ul> of joined rooms; each link inside is a room-link
 * room-link      data-room = room title, data-unread = count, aria-current="page" when open
 * new-room-input text field: a title joins or creates that room on Enter
 * room-title     heading of the open room
 * follow-button  follows the open room, or ends that; aria-pressed = followed
 * leave-button   leaves the open room
 * members-button shows the member list where it is a sheet (below 1200 px)
 * rooms-button   shows the room list where it is a sheet (below 760 px)
 * member-list    <ul> of people here; each <li> is a member with data-user
 * member         one person
 * connection     data-phase = connecting | connected | lost | refused
 * banner         connection banner; absent while all is well; data-phase as above, "back", or "held"
 *                (connected, but messages are not passed on now)
 * try-now        button in the banner
 * log            scroller with role="log"
 * message        one row: data-key, data-offset ("" while unknown), data-cid ("" if none),
 *                data-state = queued | sending | sent | failed, data-user,
 *                data-redacted = true | false
 * message-text   the text inside a message
 * retry-button, edit-button, delete-button   in a failed message
 * day            day separator
 * gap            row where messages may be missing; data-kind = hole | lost | break
 * gap-load       button in a gap of kind "hole"
 * load-older     button above the oldest message; absent once the start is reached
 * start          row that says that the start of the room is reached
 * jump-latest    button over the log while it is scrolled up
 * typing         typing line (always present, empty while nobody types)
 * composer       message text area
 * send-button    sends
 * reminder       what is to be said later: data-state = setting | set | undoing | failed, data-at (ms)
 * reminder-undo  takes it back; of one that failed: away with the row
 * command-hint   while a command is typed: what there is
 * command-problem  says why what was typed is no command
 * theme-button   cycles system, light, dark; data-theme-choice
 * me-button      my name; opens "change name"
 * room-problem   says why a room could not be opened
 */
export const id = {
    nameInput: 'name-input',
    joinButton: 'join-button',
    roomList: 'room-list',
    roomLink: 'room-link',
    newRoomInput: 'new-room-input',
    roomTitle: 'room-title',
    followButton: 'follow-button',
    leaveButton: 'leave-button',
    membersButton: 'members-button',
    roomsButton: 'rooms-button',
    memberList: 'member-list',
    member: 'member',
    connection: 'connection',
    banner: 'banner',
    tryNow: 'try-now',
    log: 'log',
    message: 'message',
    messageText: 'message-text',
    retryButton: 'retry-button',
    editButton: 'edit-button',
    deleteButton: 'delete-button',
    day: 'day',
    gap: 'gap',
    gapLoad: 'gap-load',
    loadOlder: 'load-older',
    start: 'start',
    jumpLatest: 'jump-latest',
    typing: 'typing',
    composer: 'composer',
    sendButton: 'send-button',
    reminder: 'reminder',
    reminderUndo: 'reminder-undo',
    commandHint: 'command-hint',
    commandProblem: 'command-problem',
    themeButton: 'theme-button',
    meButton: 'me-button',
    roomProblem: 'room-problem',
} as const;
